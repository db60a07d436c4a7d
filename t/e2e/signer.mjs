/*
 * An application's own authorization endpoint, for what chat_auth does not
 * sign: encrypted channels, with their keys, and users with a watchlist.
 */

import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { key, packages, secret } from './server.mjs';
import { WebSocket } from './websocket.mjs';

const nacl = packages('tweetnacl');


export function sign(text, by = secret) {
    return `${key}:${createHmac('sha256', by).update(text).digest('hex')}`;
}


export class Signer {
    masterKey = '0123456789abcdef0123456789abcdef';
    secret = secret;                    // or a wrong one
    watchlists = {};                    // by user
    asked = [];                         // the channels, as they were asked for

    static async start() {
        const signer = new Signer();

        signer.server = http.createServer((request, response) => {
            signer.answer(request, response);
        }).listen(0, '127.0.0.1');

        await once(signer.server, 'listening');
        signer.url = `http://127.0.0.1:${signer.server.address().port}/`;

        return signer;
    }

    async answer(request, response) {
        let text = '';

        response.setHeader('Access-Control-Allow-Origin', '*');
        response.setHeader('Access-Control-Allow-Headers', '*');

        if (request.method === 'OPTIONS') {
            response.end();
            return;
        }

        for await (const part of request.setEncoding('utf8')) {
            text += part;
        }

        const form = new URLSearchParams(text);
        const id = form.get('socket_id');
        const channel = form.get('channel_name');

        if (channel) {
            this.asked.push(channel);
        }

        const user = request.headers['x-user'];
        const answer = channel ? this.channel(id, channel, user)
                               : this.user(id, user);

        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify(answer));
    }

    channel(id, channel) {
        return { auth: sign(`${id}:${channel}`, this.secret),
                 shared_secret: this.key(channel).toString('base64') };
    }

    user(id, user) {
        const data = JSON.stringify({ id: user,
                                      watchlist: this.watchlists[user] });

        return { auth: sign(`${id}::user::${data}`, this.secret),
                 user_data: data };
    }

    key(channel) {
        return createHash('sha256').update(channel).update(this.masterKey)
                                   .digest();
    }

    /* An event's data, as a server SDK would publish it. */

    encrypt(channel, value) {
        const nonce = nacl.randomBytes(nacl.secretbox.nonceLength);
        const box = nacl.secretbox(Buffer.from(JSON.stringify(value)), nonce,
                                   this.key(channel));

        return JSON.stringify({
            nonce: Buffer.from(nonce).toString('base64'),
            ciphertext: Buffer.from(box).toString('base64') });
    }

    /* Sends one event on a channel, as a subscriber of it. */

    send(port, channel, event, data) {
        return new Promise((resolve, reject) => {
            const socket = new WebSocket(port, `/app/${key}?protocol=7`);
            const say = (frame) => socket.send(JSON.stringify(frame));

            const answers = {
                'pusher:connection_established': ({ socket_id: id }) => {
                    const { auth } = this.channel(id, channel);

                    say({ event: 'pusher:subscribe',
                          data: { channel, auth } });
                },
                'pusher_internal:subscription_succeeded': () => {
                    say({ event, channel, data });
                    say({ event: 'pusher:ping', data: {} });
                },
                'pusher:pong': () => {
                    socket.destroy();
                    resolve();
                },
            };

            socket.onclose = () => reject(new Error('the connection ended'));
            socket.onmessage = (text) => {
                const frame = JSON.parse(text);

                if (answers[frame.event]) {
                    answers[frame.event](JSON.parse(frame.data));
                    return;
                }

                reject(new Error(`got ${text}`));
                socket.destroy();
            };
        });
    }

    close() {
        this.server.closeAllConnections?.();
        this.server.close();
    }
}


/* A test that has such an endpoint besides. */

export function withSigner(test) {
    return async (all) => {
        const signer = await Signer.start();

        try {
            await test({ ...all, signer });

        } finally {
            signer.close();
        }
    };
}
