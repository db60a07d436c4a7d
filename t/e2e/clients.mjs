/*
 * Clients that run pusher-js in Node and keep what they were told, and tests
 * that have a server and such clients.
 */

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inbox } from './inbox.mjs';
import { key, load, options } from './libraries.mjs';
import { withServer } from './server.mjs';


/*
 * Requests by which clients without WebSocket send, until they are answered:
 * each has a connection of its own, so they have no order.
 */

const sends = new Inbox();
const begin = http.request;

http.request = (...args) => {
    const request = begin(...args);

    if (/\/xhr_send\?/.test(request.path)) {
        sends.items.push(request);

        request.once('close', () => {
            sends.items.splice(sends.items.indexOf(request), 1);
            sends.waiting.forEach((check) => check());
        });
    }

    return request;
};


/* A channel, and all that its application sees of it, in order. */

class Listener {
    events = new Inbox();               // [name, data]

    constructor(client, name) {
        this.client = client;
        this.name = name;
        this.channel = client.pusher.subscribe(name);
        this.channel.bind_global((event, data) => {
            this.events.push([event, data]);
        });
    }

    of(event) {
        return this.events.items.filter(([name]) => name === event)
                                .map(([, data]) => data);
    }

    /* Every time that the subscription succeeded, and what it told. */

    async subscribed(n = 1) {
        const event = 'pusher:subscription_succeeded';

        await this.events.until(() => this.of(event).length >= n,
                                `${n} ${event} of ${this.name}`);

        return this.of(event)[n - 1];
    }

    async event(event, n = 1) {
        await this.events.until(() => this.of(event).length >= n,
                                `${n} ${event} on ${this.name}`);

        return this.of(event)[n - 1];
    }

    /* Who is there, by what the library has made of it: id and info. */

    members() {
        const all = [];

        this.channel.members.each(({ id, info }) => all.push([id, info]));

        return { count: this.channel.members.count,
                 me: this.channel.members.me?.id,
                 all: Object.fromEntries(all.sort()) };
    }
}


export class Client {
    frames = new Inbox();               // all that the server sent
    connections = new Inbox();          // the socket id, each time

    constructor(library, server, user, authorizer) {
        const Pusher = load(library);

        this.user = user;
        this.pusher = new Pusher(key, options(library, server, user,
                                              authorizer,
                                              server.options.transports));

        this.pusher.connection.bind('message', (frame) => {
            this.frames.push(frame);
        });
        this.pusher.connection.bind('connected', () => {
            this.connections.push(this.pusher.connection.socket_id);
        });
    }

    get socketId() {
        return this.pusher.connection.socket_id;
    }

    async connected(n = 1) {
        await this.connections.count(n, 'connections');
        return this;
    }

    listen(channel) {
        return new Listener(this, channel);
    }

    /* Frames of the server, by what they are about. */

    of(event, channel) {
        return this.frames.items.filter((frame) => (
            frame.event === event && frame.channel === channel));
    }

    async frame(event, channel, n = 1) {
        await this.frames.until(() => this.of(event, channel).length >= n,
                                `${n} ${event} on ${channel}`);

        return this.of(event, channel)[n - 1];
    }

    /* What was sent has arrived, where each message is a request. */

    async sent() {
        await sleep(0);                 // the library does so, too, and then
                                        // sends

        await sends.until((items) => items.length === 0, 'end of xhr_send');
    }

    /* The server has handled all that was sent before, when it answers. */

    async roundTrip() {
        await this.sent();

        const n = this.of('pusher:pong').length + 1;

        this.pusher.connection.send_event('pusher:ping', {});
        await this.frame('pusher:pong', undefined, n);
    }

    async signin() {
        this.pusher.signin();

        const frame = await this.frame('pusher:signin_success');

        await this.frame('pusher_internal:subscription_succeeded',
                         `#server-to-user-${this.user}`);
        return frame;
    }

    close() {
        this.pusher.disconnect();
    }
}


/*
 * A test with a server and clients that are sent away at its end.  The test
 * gets connect(user, authorizer), for a client, and spread(users,
 * authorizer), for one of each user, on workers of their own as far as there
 * are enough: each is tried until nginx's workers happen to be so.
 */

export function withClients(library, serverOptions, test) {
    const { workers } = serverOptions;

    return () => withServer(serverOptions, async (server) => {
        const clients = [];

        const connect = (user, authorizer) => {
            const client = new Client(library, server, user, authorizer);

            clients.push(client);
            return client;
        };

        const spread = async (users, authorizer) => {
            const found = [];
            const used = new Set();

            await server.until(({ connections }) => (
                connections === clients.length), 'end of other clients');

            while (found.length < users.length) {
                const before = await server.sessions();
                const client = connect(users[found.length], authorizer);

                await client.connected();

                const [worker] = [...await server.sessions()].find(
                    ([pid, n]) => n > (before.get(pid) ?? 0));

                client.worker = worker;

                if (used.size === workers || !used.has(worker)) {
                    used.add(worker);
                    found.push(client);
                }
            }

            return found;
        };

        try {
            await test({ server, connect, spread });

        } finally {
            clients.forEach((client) => client.close());
        }
    });
}
