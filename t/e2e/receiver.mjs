/*
 * A receiver of webhooks.  It checks every request by itself, drops what
 * comes twice by X-Chat-Webhook-Id, and keeps books of channels and members by
 * what it is told, and by nothing else.  What must not be goes to faults.
 *
 * It listens on 127.0.0.2: so many clients as some tests have would take the
 * port on 127.0.0.1 while it is down.
 */

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { Inbox } from './inbox.mjs';
import { key, secret } from './server.mjs';

const HOST = '127.0.0.2';
const STALE = 280000;                   // ms, after which it is stamped anew
const WORDS = ['name', 'channel', 'user_id', 'event', 'data', 'socket_id'];

const NAMES = ['channel_occupied', 'channel_vacated', 'member_added',
               'member_removed', 'client_event', 'cache_miss',
               'subscription_count', 'message_stored', 'connection_closed'];


/* Channels and their members, by what was told in this order. */

export class Books {
    channels = new Map();               // by name: its members

    /* What is wrong with it, if anything. */

    note({ name, channel, user_id: user }) {
        const members = this.channels.get(channel);

        switch (name) {

        case 'channel_occupied':
            this.channels.set(channel, members ?? new Set());
            return members && 'which was occupied';

        case 'channel_vacated':
            this.channels.delete(channel);
            return !members ? 'which was not occupied'
                   : members.size ? `where ${[...members]} were left` : null;

        case 'member_added':
            if (!members || members.has(user)) {
                return members ? 'who was there' : 'which was not occupied';
            }

            members.add(user);
            return null;

        case 'member_removed':
            return members?.delete(user) ? null : 'who was not there';
        }

        return null;
    }

    /* All that is in them, in a form to be compared. */

    sum() {
        return Object.fromEntries([...this.channels].sort().map(
            ([channel, members]) => [channel, [...members].sort()]));
    }
}


export class Receiver {
    requests = new Inbox();             // those that were new, in order
    events = new Inbox();               // of them, in order
    faults = [];
    books = new Books();
    seen = new Map();                   // requests by their ids
    epochs = new Set();
    counts = { requests: 0, refused: 0, repeated: 0 };
    tally = {};                         // of events, by name
    pending = null;                     // the id that has to come next
    last = 0;                           // number of the newest one
    largest = 20;                       // events in a request
    mode = 'answers';
    key = key;
    secret = secret;

    /* Of those that are new: how one is answered, by its number. */

    lapse = () => 'answers';

    static async start(options = {}) {
        const receiver = Object.assign(new Receiver(), options);

        await receiver.listen(0);
        return receiver;
    }

    async listen(port) {
        this.server = http.createServer((request, response) => {
            this.take(request, response);
        }).listen(port, HOST);

        await once(this.server, 'listening');
        this.port = this.server.address().port;
        this.url = `http://${HOST}:${this.port}/hook`;
    }

    /*
     * From now on it answers, has "error" (500) for an answer, "hangs", or is
     * "down": nobody listens.
     */

    async be(mode) {
        const before = this.mode;

        this.mode = mode;

        if (mode === 'down') {
            await this.close();

        } else if (before === 'down') {
            await this.listen(this.port);
        }
    }

    async close() {
        if (this.server.listening) {
            this.server.closeAllConnections();
            this.server.close();
            await once(this.server, 'close');
        }
    }

    fault(text) {
        this.faults.push(text);
    }

    async take(request, response) {
        const parts = [];

        request.on('error', () => {});
        response.on('error', () => {});
        request.on('data', (part) => parts.push(part));
        request.on('end', () => {
            const body = Buffer.concat(parts).toString();

            this.counts.requests++;
            this.answer(response, this.handle(request, body));
        });
    }

    /* Reads a request: how it is answered. */

    handle(request, body) {
        const read = this.check(request, body);

        if (!read) {
            return 'error';
        }

        const { id } = read;

        if (this.pending !== null && this.pending !== id) {
            this.fault(`${id} came, but ${this.pending} was ${this.how}`);
        }

        if (this.mode !== 'answers') {
            this.pending = id;
            this.how = `refused, ${this.mode}`;
            this.counts.refused++;
            return this.mode;
        }

        this.pending = null;

        if (this.seen.has(id)) {
            this.counts.repeated++;
            this.compare(this.seen.get(id), read);
            return 'answers';
        }

        this.book(read);

        const how = this.lapse(this.seen.size);

        if (how !== 'answers') {
            this.pending = id;
            this.how = `not answered, ${how}`;
        }

        return how;
    }

    check(request, body) {
        const { headers, rawHeaders } = request;
        const id = headers['x-chat-webhook-id'] ?? '';
        const [, epoch, number] = /^([^-]+)-(\d+)$/.exec(id) ?? [];
        const signature = createHmac('sha256', this.secret)
                              .update(body).digest('hex');
        const now = Date.now();
        let data;

        const must = (what, told) => {
            if (!what) {
                this.fault(`${id}: ${told}`);
            }

            return what;
        };

        try {
            data = JSON.parse(body);

        } catch {
            this.fault(`${id}: ${body} is not JSON`);
            return null;
        }

        must(request.method === 'POST' && request.url === '/hook',
             `${request.method} ${request.url}`);
        must(request.httpVersion === '1.1', request.httpVersion);
        must(headers['content-type'] === 'application/json',
             headers['content-type']);
        must(headers['x-pusher-key'] === this.key, 'key');
        must(headers['x-pusher-signature'] === signature, 'signature');
        must(['Content-Type', 'X-Pusher-Key', 'X-Pusher-Signature',
              'X-Chat-Webhook-Id'].every((name) => rawHeaders.includes(name)),
             `${rawHeaders}`);
        must(number, 'no id');
        must(Object.keys(data).join() === 'time_ms,events',
             Object.keys(data));

        // what is late to be told is stamped anew before it is refused
        must(Number.isInteger(data.time_ms) && data.time_ms <= now
             && data.time_ms > now - 300000, `${data.time_ms} at ${now}`);

        if (!must(Array.isArray(data.events) && data.events.length > 0
                  && data.events.length <= this.largest, body))
        {
            return null;
        }

        data.events.forEach((event) => {
            must(NAMES.includes(event.name)
                 && typeof event.channel === 'string'
                 && WORDS.every((word) => (
                     ['string', 'undefined'].includes(typeof event[word])))
                 && ['number', 'undefined'].includes(
                     typeof event.subscription_count),
                 JSON.stringify(event));
        });

        this.epochs.add(epoch);

        return { id, number: Number(number), time: data.time_ms, headers,
                 body, events: data.events, at: now };
    }

    /* The same again, but for the time where that was long ago. */

    compare(first, again) {
        if (first.body !== again.body
            && (JSON.stringify(first.events) !== JSON.stringify(again.events)
                || again.at - first.time < STALE))
        {
            this.fault(`${first.id} came again as ${again.body},`
                       + ` was ${first.body}`);
        }
    }

    book(read) {
        if (read.number <= this.last) {
            this.fault(`${read.id} is new, and came after ${this.last}`);
        }

        this.last = read.number;
        this.seen.set(read.id, read);

        for (const event of read.events) {
            const wrong = this.books.note(event);

            if (wrong) {
                this.fault(`${read.id}: ${JSON.stringify(event)}, ${wrong}`);
            }

            this.tally[event.name] = (this.tally[event.name] ?? 0) + 1;
            this.events.push(event);
        }

        this.requests.push(read);
    }

    answer(response, how) {
        switch (how) {

        case 'answers':
            response.end('taken');
            return;

        case 'error':
            response.writeHead(500).end('not now');
            return;

        case 'half':
            response.socket.end('HTTP/1.1 200 OK\r\nContent-Le');
            return;

        case 'cut':
            response.socket.resetAndDestroy();
            return;

        case 'hangs':
            return;
        }
    }

    of(name) {
        return this.events.items.filter((event) => event.name === name);
    }

    /* Waits until it was told so: the event. */

    async told(name, members = {}, ms = 60000) {
        const wanted = Object.entries({ name, ...members });
        let at = 0;

        const found = (items) => {
            while (at < items.length && !wanted.every(([word, value]) => (
                items[at][word] === value)))
            {
                at++;
            }

            return at < items.length;
        };

        await this.events.until(found, 'such event', ms).catch(() => {
            throw new Error(`no ${JSON.stringify({ name, ...members })} in`
                + ` ${ms} ms, but ${JSON.stringify(this.counts)}, and last `
                + JSON.stringify(this.events.items.slice(-20)));
        });

        return this.events.items[at];
    }
}
