/*
 * A crowd for those who keep books of it: most come and go by chance, on
 * large and small presence channels and on public ones, and some are steady:
 * whenever they are cut off they come back at once.  By its Pings a steady
 * one knows how long it can have been away.
 */

import { Connection, Crowd } from '../e2e/churn.mjs';

const PING = 200;                       // ms between those of a steady one
const BACK = 200;                       // ms until it is back, at most


class Visitor extends Connection {
    subscribe(channel) {
        if (channel.startsWith('presence-')) {
            super.subscribe(channel);
            return;
        }

        this.send('pusher:subscribe', { channel });
    }

    succeeded(channel, { presence }) {
        if (presence) {
            super.succeeded(channel, presence);
            return;
        }

        this.rooms.set(channel, new Set());
        this.crowd.notify();
    }

    message(frame) {
        if (frame.event === 'pusher_internal:subscription_succeeded') {
            this.crowd.frames++;
            this.succeeded(frame.channel, JSON.parse(frame.data));
            return;
        }

        // who is told to come back has done nothing wrong
        if (frame.event !== 'pusher:error'
            || ![4200, 4100].includes(frame.data.code))
        {
            super.message(frame);
        }
    }
}


/*
 * The server has had it at "alive" at least: it has answered a Ping that was
 * sent then.  So it was away no longer than from then until it was let in.
 */

class Steady extends Visitor {
    away = [];                          // { from, to }, each time

    message(frame) {
        const now = performance.now();

        if (frame.event === 'pusher:pong') {
            this.alive = this.sent;

        } else if (frame.event === 'pusher_internal:subscription_succeeded') {
            if (this.alive) {
                this.away.push({ from: this.alive, to: now });
            }

            this.alive = now;
        }

        super.message(frame);
    }

    gone() {
        clearInterval(this.pinging);
        super.gone();
        clearTimeout(this.timer);

        if (!this.crowd.closing) {
            this.timer = setTimeout(() => this.connect(),
                                    this.crowd.random(BACK));
        }
    }

    connect() {
        super.connect();
        this.pinging = setInterval(() => {
            if (this.settled) {
                this.ping();
            }
        }, PING);
    }

    /* It need not wait for its Pings' answers. */

    get ready() {
        return this.socketId !== null
               && [...this.rooms.values()].every((room) => room);
    }

    ping() {
        this.sent = performance.now();
        super.ping();
    }

    close() {
        clearInterval(this.pinging);
        super.close();
    }
}


export class Visitors extends Crowd {
    steady = [];

    constructor(port, random, { large, small, open }) {
        const names = (n, prefix) => Array.from({ length: n },
                                                (_, i) => `${prefix}-${i}`);

        super(port, [...names(large, 'presence-large'),
                     ...names(small, 'presence-small'),
                     ...names(open, 'room')], random);
    }

    add(user) {
        const one = new Visitor(this, user);

        this.connections.push(one);
        return one;
    }

    addSteady(user, channel) {
        const one = new Steady(this, user);

        one.join(channel);
        this.steady.push(one);
        return one;
    }

    get all() {
        return [...this.connections, ...this.steady];
    }

    /* Some leave for good, and as many others come. */

    replace(n, name) {
        for (let i = 0; i < n; i++) {
            const at = this.random(this.connections.length);
            const [one] = this.connections.splice(at, 1);

            one.close();
            this.add(name(i)).join(this.channels[
                this.random(this.channels.length)]);
        }
    }

    /* All are connected, and the server has handled what they sent. */

    async settle() {
        const settled = () => (
            this.connections.every((one) => one.settled)
            && this.steady.every((one) => one.ready));

        await this.until(settled, 'settled');
        this.connections.forEach((one) => one.ping());
        await this.until(settled, 'settled again');
    }

    /* The books as they should be. */

    sum() {
        const books = {};

        for (const { rooms, user } of this.all) {
            for (const channel of rooms.keys()) {
                books[channel] ??= new Set();

                if (channel.startsWith('presence-')) {
                    books[channel].add(user);
                }
            }
        }

        return Object.fromEntries(Object.entries(books).sort().map(
            ([channel, users]) => [channel, [...users].sort()]));
    }

    close() {
        super.close();
        this.steady.forEach((one) => one.close());
    }
}
