/*
 * What recovery promises, counted against the truth: pages with pusher-js
 * behind a proxy that cuts them off, a publisher that numbers the events of
 * each channel, and a judge who reads what each page has noted.
 *
 * Pages are windows of Chromium, and clients in Node, which are cheaper.  Both
 * run the same function client(), note all that their handlers see, and send
 * it to a site that is not nginx; the site tells windows what to do, too, so
 * that nobody has to reach into a page that is frozen.
 */

import { createHash, createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { packages, key, secret } from './server.mjs';
import { Signer, sign } from './signer.mjs';

const script = fs.readFileSync(new URL('../../conf/once.js', import.meta.url),
                               'utf8');
const exactlyOnce = new Function(`${script}; return exactlyOnce;`)();

export const LIBRARIES = ['pusher-js', 'pusher-js-7', 'pusher-js-7.0'];

export const CHANNELS = ['public', 'private-one', 'presence-one', 'cache-one',
                         'private-encrypted-one', 'private-cache-two',
                         'heavy'];

const HEAVY = CHANNELS.length - 1;      // the last one, which few have

const SLOWEST = 400;                    // ms that an authorisation may take


/*
 * The client, in a page or in Node.  pusher-js has no more than two unclean
 * ends of connections that did not last: then it has failed, for good, and
 * the page has to be loaded anew, as its user would.
 *
 * Notes are [what, number of the channel, …]: raw, what a handler of a stock
 * client gets, and once, what one behind the helper gets.
 */

function client(Pusher, exactlyOnce, { key, options, channels }, note,
                anew)
{
    const pusher = new Pusher(key, options);
    const once = exactlyOnce(pusher);

    pusher.connection.bind('connected', () => {
        note(['id', -1, pusher.connection.socket_id]);
    });
    pusher.connection.bind('state_change', ({ current }) => {
        note(['state', -1, current]);

        if (current === 'failed') {
            anew();
        }
    });

    channels.forEach((name, i) => {
        pusher.subscribe(name)
              .bind('pusher:recovery', (told) => note(['told', i, told]))
              .bind('n', ({ n }) => note(['raw', i, n]))
              .bind('n', once(name, ({ n }) => note(['once', i, n])));
    });

    return pusher;
}


/* In a window: takes the notes to the site, and does what the site says. */

function report(name, token) {
    const notes = [];
    let had = 0;
    let gone = false;

    window.addEventListener('pageshow', ({ persisted }) => {
        gone = false;

        if (persisted) {
            notes.push(['back', -1]);
        }
    });

    const orders = {
        busy: (ms) => {
            for (const end = Date.now() + ms; Date.now() < end; /* void */) {
                /* void */
            }
        },

        away: (ms) => {
            gone = true;
            window.location.href = `/away?ms=${ms}`;
        },
    };

    const run = async () => {
        if (gone) {
            return;
        }

        const some = notes.slice(had, had + 5000);
        const answer = await fetch('/notes', { method: 'POST',
            body: JSON.stringify({ name, token, had, some }) });
        const { has, order } = await answer.json();

        had = has;

        if (order) {
            orders[order[0]](order[1]);
        }
    };

    const loop = () => run().catch(() => {}).then(() => {
        setTimeout(loop, 200);
    });

    loop();

    return (one) => { notes.push(one); };
}


export function channelsOf(name) {
    return name.startsWith('heavy') ? CHANNELS : CHANNELS.slice(0, HEAVY);
}


/* What a client is told of the place that it connects to. */

function options(library, port, site, user, transport) {
    const to = (endpoint) => ({ endpoint, headers: { 'X-User': user },
                                transport: 'ajax' });

    return {
        cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false,
        httpHost: '127.0.0.1', httpPort: port,
        enabledTransports: [transport], disableStats: true,
        activityTimeout: 1000, pongTimeout: 1000,
        ...library === 'pusher-js-7.0'
            ? { authEndpoint: site, auth: { headers: { 'X-User': user } } }
            : { channelAuthorization: to(site) },
    };
}


/* Where pages come from, and what authorises them, slowly. */

export class Site {
    pages = new Map();                  // by token
    orders = new Map();                 // by name

    constructor(random, transports) {
        this.random = random;
        this.transports = transports;   // who comes takes the next
        this.users = new Map();         // by name: the transport
        this.signer = new Signer();
    }

    options(library, name) {
        if (!this.users.has(name)) {
            this.users.set(name, this.transports[this.users.size
                                                 % this.transports.length]);
        }

        return options(library, this.port, `${this.url}/auth`, name,
                       this.users.get(name));
    }

    async start(port) {
        this.port = port;               // of the proxy
        this.server = http.createServer((request, response) => {
            this.answer(request, response).catch(() => response.destroy());
        }).listen(0, '127.0.0.1');

        await once(this.server, 'listening');
        this.url = `http://127.0.0.1:${this.server.address().port}`;
    }

    async answer(request, response) {
        const { pathname, searchParams } = new URL(request.url, this.url);
        let text = '';

        for await (const part of request.setEncoding('utf8')) {
            text += part;
        }

        response.setHeader('Access-Control-Allow-Origin', '*');
        response.setHeader('Access-Control-Allow-Headers', '*');
        /* or older versions of pusher-js would keep pages from the cache */
        response.setHeader('Permissions-Policy', 'unload=()');

        if (pathname === '/auth' && request.method === 'POST') {
            await sleep(this.random(SLOWEST + 1));
            text = this.authorise(new URLSearchParams(text),
                                  request.headers['x-user']);

        } else if (pathname === '/notes') {
            text = this.take(JSON.parse(text));

        } else if (pathname === '/away') {
            response.setHeader('Content-Type', 'text/html');
            text = `<title>Away</title><script>setTimeout(() => history.back(),
                    ${Number(searchParams.get('ms'))});</script>`;

        } else if (pathname === '/page') {
            response.setHeader('Content-Type', 'text/html');
            text = this.page(searchParams.get('name'),
                             searchParams.get('library'));

        } else if (pathname === '/pusher.js') {
            const file = packages.resolve(searchParams.get('library'))
                .replace(/node.pusher\.js$/, 'web/pusher-with-encryption'
                                             + '.min.js');

            text = fs.readFileSync(file);
        }

        response.end(text);
    }

    authorise(form, user) {
        const id = form.get('socket_id');
        const channel = form.get('channel_name');

        if (!channel.startsWith('presence-')) {
            return JSON.stringify(this.signer.channel(id, channel));
        }

        const data = JSON.stringify({ user_id: user });

        return JSON.stringify({ auth: sign(`${id}:${channel}:${data}`),
                                channel_data: data });
    }

    page(name, library) {
        const all = { options: this.options(library, name),
                      channels: channelsOf(name) };

        return `<!doctype html>
<title>${name}</title>
<link rel="icon" href="data:,">
<script src="/pusher.js?library=${library}"></script>
<script>
${script}
const token = crypto.randomUUID();
const note = (${report})('${name}', token);

(${client})(Pusher, exactlyOnce, { key: '${key};' + token,
            ...${JSON.stringify(all)} }, note,
         () => setTimeout(() => location.reload(), 1000));
</script>
`;
    }

    take({ name, token, had, some }) {
        const page = this.get(name, token);
        const from = page.notes.length - had;   // what came twice

        some.slice(from).forEach((one) => page.add(one));

        const order = this.orders.get(name);

        this.orders.delete(name);

        return JSON.stringify({ has: page.notes.length, order });
    }

    /* A page that is loaded anew is another page. */

    get(name, token) {
        if (!this.pages.has(token)) {
            for (const other of this.pages.values()) {
                other.left ||= (other.name === name);
            }

            this.pages.set(token, new Page(name, token));
        }

        return this.pages.get(token);
    }

    /* A client in Node. */

    open(name, library) {
        const token = randomUUID();
        const page = this.get(name, token);

        page.pusher = client(packages(library), exactlyOnce, {
            key: `${key};${token}`, channels: channelsOf(name),
            options: this.options(library, name),
        }, (one) => page.add(one), () => this.open(name, library));

        return page;
    }

    current() {
        return [...this.pages.values()].filter(({ left }) => !left);
    }

    close() {
        this.current().forEach(({ pusher }) => pusher?.disconnect());
        this.server.closeAllConnections?.();
        this.server.close();
    }
}


/* What is known of a page, by its own notes. */

class Page {
    notes = [];
    ids = new Set();                    // socket ids that it has had
    last = [];                          // by channel, behind the helper
    left = false;

    constructor(name, token) {
        this.name = name;
        this.token = token;
        this.channels = channelsOf(name);
        this.state = null;
    }

    /* Whether it has these, or later ones, behind the helper. */

    has(numbers) {
        return this.channels.every((_, i) => this.last[i] >= numbers[i]);
    }

    add(note) {
        const [what, i, value] = note;

        this.notes.push(note);

        if (what === 'id') {
            this.ids.add(value);

        } else if (what === 'state') {
            this.state = value;

        } else if (what === 'once') {
            this.last[i] = value;
        }
    }
}


/*
 * Numbers the events of each channel, and knows of each whether it was
 * published (an answer may get lost where a worker dies), and who does not get
 * it: the page whose socket id, of now or before, was named.
 */

export class Publisher {
    events = CHANNELS.map(() => []);    // by channel and number: what of it
    last = CHANNELS.map(() => Promise.resolve());
    going = true;

    constructor(server, random, site) {
        Object.assign(this, { server, random, site });
    }

    async call(batch) {
        const body = JSON.stringify({ batch });
        const path = '/apps/17536051/batch_events';
        const query = `auth_key=${key}&auth_timestamp=`
                      + `${Math.floor(Date.now() / 1000)}&auth_version=1.0`
                      + '&body_md5='
                      + createHash('md5').update(body).digest('hex');
        const by = createHmac('sha256', secret)
            .update(`POST\n${path}\n${query}`).digest('hex');

        const { status, text } = await this.server.request('POST',
            `${path}?${query}&auth_signature=${by}`, { batch });

        if (status !== 200) {
            throw new Error(`batch_events answered ${status}: ${text}`);
        }
    }

    event(i, length) {
        const n = this.events[i].length;
        const channel = CHANNELS[i];
        const value = { n, pad: 'x'.repeat(length) };
        const event = { channel, name: 'n', data: JSON.stringify(value) };
        const one = { sure: false, except: null };

        if (channel.startsWith('private-encrypted-')) {
            event.data = this.site.signer.encrypt(channel, value);
        }

        if (this.random(20) === 0) {
            const pages = this.site.current();
            const page = pages[this.random(pages.length)];
            const ids = [...page.ids];

            if (ids.length) {
                one.except = page.token;
                event.socket_id = ids[this.random(ids.length)];
            }
        }

        this.events[i].push(one);

        return [event, one];
    }

    /* One at a time of a channel, or numbers would not be their order. */

    publish(i, n, length) {
        this.last[i] = this.last[i].then(() => this.publishNow(i, n, length));

        return this.last[i];
    }

    async publishNow(i, n, length = this.random(200)) {
        const all = Array.from({ length: n }, () => this.event(i, length));

        try {
            await this.call(all.map(([event]) => event));
            all.forEach(([, one]) => { one.sure = true; });

        } catch (error) {
            this.error = error;         // a worker was killed, or it is one
        }
    }

    /* More than waits for a client that does not read. */

    async burst() {
        for (let i = 0; i < 12; i++) {
            await this.publish(HEAVY, 10, 6000);
        }
    }

    async run(i, pause) {
        while (this.going) {
            await this.publish(i, this.random(5) ? 1 : 1 + this.random(9));
            await sleep(this.random(pause));
        }
    }

    start(pause) {
        this.running = Promise.all(CHANNELS.map((_, i) => (
            this.run(i, i === HEAVY ? pause * 10 : pause))));
    }

    async stop() {
        this.going = false;
        await this.running;
    }

    /* One more of each, which everybody who has subscribed has to get. */

    async finish() {
        for (let i = 0; i < CHANNELS.length; i++) {
            do {
                await this.publish(i, 1);
            } while (!this.events[i].at(-1).sure
                     || this.events[i].at(-1).except);
        }

        return this.events.map((all) => all.length - 1);
    }
}
