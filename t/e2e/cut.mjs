/*
 * A TCP proxy that cuts.
 */

import { once } from 'node:events';
import net from 'node:net';


/*
 * The proxy between pages and nginx: a link for each connection, by the token
 * in its first line; without WebSocket, for each request that receives.
 */

const first = /^(?:GET|POST) \S*;([\w-]+)(?:\/\d+\/\w+\/xhr(?:_streaming)?)?\?/;


class Link {
    held = false;
    left = null;                        // bytes to the page until a reset

    constructor(client, port) {
        this.client = client;
        this.upstream = net.connect({ host: '127.0.0.1', port,
                                      allowHalfOpen: true });
        this.token = null;

        this.pipe(client, this.upstream);
        this.pipe(this.upstream, client);
    }

    pipe(from, to) {
        from.on('error', () => to.destroy());
        from.on('close', () => { if (!this.held) { to.destroy(); } });
        from.on('end', () => to.end());
        from.on('data', (bytes) => {
            if (from === this.upstream && this.left !== null) {

                if (bytes.length >= this.left) {
                    to.write(bytes.subarray(0, this.left));
                    this.left = 0;
                    setImmediate(() => this.reset());
                    return;
                }

                this.left -= bytes.length;
            }

            if (!to.write(bytes)) {
                from.pause();
                to.once('drain', () => { if (!this.held) { from.resume(); } });
            }
        });
    }

    reset() {
        this.client.resetAndDestroy();
        this.upstream.resetAndDestroy();
    }

    fin() {
        this.client.end();
        this.upstream.end();
    }

    /* Takes all that nginx sends, so that it is acknowledged, and loses it. */

    swallow(ms) {
        this.upstream.removeAllListeners('data');
        this.upstream.on('data', () => {});
        this.upstream.resume();
        setTimeout(() => this.reset(), ms);
    }

    hold() {
        this.held = true;
        this.client.pause();
        this.upstream.pause();
    }

    thaw() {
        this.held = false;
        this.client.resume();
        this.upstream.resume();
    }
}


export class Proxy {
    links = new Map();                  // by token: the latest
    plans = new Map();                  // by token: what is done to the next

    async start(port) {
        this.server = net.createServer({ allowHalfOpen: true }, (client) => {
            const link = new Link(client, port);

            client.on('data', (bytes) => {
                const [, token] = bytes.toString('latin1').match(first) ?? [];

                if (!token) {
                    return;
                }

                this.links.set(token, link);
                this.plans.get(token)?.(link);
                this.plans.delete(token);
            });
        }).listen(0, '127.0.0.1');

        await once(this.server, 'listening');
        this.port = this.server.address().port;
    }

    close() {
        this.links.forEach((link) => link.reset());
        this.server.close();
    }
}
