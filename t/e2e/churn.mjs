/*
 * A crowd of connections that join and leave presence channels at random,
 * each with its own bookkeeping of who is there: the list of its subscription
 * and what was told since.  A connection that ends comes back.
 *
 * What it should not have been told goes to crowd.faults; and who was said to
 * leave without having been there, to crowd.repeated: a worker that is killed
 * just when it has told so, or before it has told who came, leaves it to
 * others to tell, so that each killed worker may account for one.
 */

import { key } from './server.mjs';
import { sign } from './signer.mjs';
import { WebSocket } from './websocket.mjs';

const MOST = 3;                         // channels of one connection
const AWAY = 500;                       // ms until it is back, at most


/* Random numbers below n that are the same again for the same seed. */

export function generator(seed) {
    let state = seed >>> 0;

    return (n) => {
        state = (state + 0x6d2b79f5) >>> 0;

        let t = Math.imul(state ^ (state >>> 15), state | 1);

        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) % n;
    };
}


export class Connection {
    socket = null;
    socketId = null;                    // while established
    rooms = new Map();                  // by channel: members, once told
    fences = new Map();                 // by channel: the last message's id
    pongs = 0;
    pings = 0;

    constructor(crowd, user) {
        this.crowd = crowd;
        this.user = user;
        this.connect();
    }

    connect() {
        const socket = new WebSocket(this.crowd.port,
                                     `/app/${key}?protocol=7`);

        this.socket = socket;
        socket.onmessage = (text) => {
            if (socket === this.socket) {
                this.message(JSON.parse(text));
            }
        };
        socket.onclose = () => {
            if (socket === this.socket) {
                this.gone();
            }
        };
    }

    /* Its connection has ended: it comes back, to the same channels. */

    gone() {
        this.socket = null;
        this.socketId = null;
        this.pings = this.pongs = 0;
        this.rooms.forEach((_, channel) => this.rooms.set(channel, null));
        this.crowd.notify();

        if (!this.crowd.closing) {
            this.timer = setTimeout(() => this.connect(),
                                    this.crowd.random(AWAY));
        }
    }

    drop() {
        this.socket.destroy();
        this.gone();
    }

    close() {
        const { socket } = this;

        clearTimeout(this.timer);
        this.socket = null;
        socket?.destroy();
    }

    send(event, data) {
        this.socket.send(JSON.stringify({ event, data }));
    }

    join(channel) {
        this.rooms.set(channel, null);

        if (this.socketId) {
            this.subscribe(channel);
        }
    }

    subscribe(channel) {
        const channel_data = JSON.stringify({ user_id: this.user });
        const auth = sign(`${this.socketId}:${channel}:${channel_data}`);

        this.send('pusher:subscribe', { channel, auth, channel_data });
    }

    leave(channel) {
        this.rooms.delete(channel);
        this.send('pusher:unsubscribe', { channel });
    }

    ping() {
        this.pings++;
        this.send('pusher:ping', {});
    }

    /* It is connected, and all that it has asked for is answered. */

    get settled() {
        return this.socketId !== null && this.pings === this.pongs
               && [...this.rooms.values()].every((room) => room);
    }

    message({ event, channel, data }) {
        const told = typeof data === 'string' ? JSON.parse(data) : data;

        this.crowd.frames++;

        switch (event) {

        case 'pusher:connection_established':
            this.socketId = told.socket_id;
            this.rooms.forEach((_, name) => this.subscribe(name));
            this.crowd.notify();
            return;

        case 'pusher:pong':
            this.pongs++;
            this.crowd.notify();
            return;

        case 'pusher:error':
            this.fault(`was told ${JSON.stringify(told)}`);
            return;

        case 'pusher_internal:subscription_succeeded':
            this.succeeded(channel, told.presence);
            return;
        }

        const room = this.rooms.get(channel);

        if (!room) {
            return;                     // on its way since before the leaving
        }

        switch (event) {

        case 'pusher_internal:member_added':
            if (room.has(told.user_id)) {
                this.fault(`${told.user_id} added to ${channel} twice`);
            }

            room.add(told.user_id);
            return;

        case 'pusher_internal:member_removed':
            if (!room.delete(told.user_id)) {
                this.crowd.repeated.add(`${told.user_id} on ${channel}`);
            }

            return;

        case 'fence':
            this.fences.set(channel, told.id);
            this.crowd.notify();
            return;

        default:
            this.fault(`got ${event} on ${channel}`);
        }
    }

    succeeded(channel, { ids, hash, count }) {
        const room = new Set(ids);

        if (count !== ids.length || room.size !== count
            || Object.keys(hash).length !== count
            || !ids.every((id) => id in hash) || !room.has(this.user))
        {
            this.fault(`${channel}: ${count}, ${ids}, ${Object.keys(hash)}`);
        }

        if (this.rooms.get(channel) !== null) {
            this.fault(`${channel}: succeeded without a reason`);
        }

        this.rooms.set(channel, room);
        this.crowd.notify();
    }

    fault(text) {
        this.crowd.faults.push(`${this.user} on ${this.socketId} ${text}`);
    }
}


export class Crowd {
    connections = [];
    faults = [];
    repeated = new Set();
    frames = 0;
    closing = false;
    waiting = null;                     // a check, while one waits

    constructor(port, channels, random) {
        this.port = port;
        this.channels = channels;
        this.random = random;
    }

    add(user) {
        const connection = new Connection(this, user);

        this.connections.push(connection);
        return connection;
    }

    /* What one of the connections, by chance, does next. */

    step() {
        const one = this.connections[this.random(this.connections.length)];

        if (!one.settled) {
            return;
        }

        const joined = [...one.rooms.keys()];
        const other = this.channels.filter((name) => !one.rooms.has(name));
        const which = this.random(10);

        if (which === 0) {
            one.drop();

        } else if (joined.length
                   && (which < 5 || joined.length === MOST))
        {
            one.leave(joined[this.random(joined.length)]);

        } else {
            one.join(other[this.random(other.length)]);
        }
    }

    /* Called where something has changed that one may wait for. */

    notify() {
        if (this.waiting && !this.due) {
            this.due = setImmediate(() => {
                this.due = null;
                this.waiting?.();
            });
        }
    }

    until(done, what, ms = 60000) {
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.waiting = null;
                reject(new Error(`not ${what} in ${ms} ms`));
            }, ms);

            this.waiting = () => {
                if (done()) {
                    clearTimeout(timer);
                    this.waiting = null;
                    resolve();
                }
            };

            this.waiting();
        });
    }

    /* All are connected, and the server has handled what they sent. */

    async settle() {
        const settled = () => this.connections.every((one) => one.settled);

        await this.until(settled, 'settled');
        this.connections.forEach((one) => one.ping());
        await this.until(settled, 'settled again');
    }

    /* The users that a channel should have. */

    members(channel) {
        return [...new Set(this.connections
            .filter(({ rooms }) => rooms.has(channel))
            .map(({ user }) => user))].sort();
    }

    close() {
        this.closing = true;
        this.connections.forEach((one) => one.close());
    }
}
