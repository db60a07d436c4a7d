'use strict';

/*
 * The demo's page: the history by fetch(), live messages by pusher-js.
 *
 * How it misses nothing: it subscribes, waits for subscription_succeeded,
 * then reads the history after the last id up to which it has everything,
 * and drops ids that it has already.  The same after a reconnect, unless the
 * server knows the token behind the key and sends what was missed by itself.
 *
 * How its own messages show once: a POST names the connection's socket_id,
 * so that the event goes to all others, and the answer is what gets shown.
 * How they are stored once: each has an Idempotency-Key, the same whenever it
 * is sent again, since an answer may get lost on its way.
 */

const { key, channel, event, messages } = document.body.dataset;

const element = (id) => document.getElementById(id);
const scroll = element('scroll');
const log = element('log');
const list = element('messages');
const form = element('form');
const box = element('content');

const items = new Map();                // by message id, what is on the page
const own = new Set(history.state?.own);        // outlives a reload

let epoch = null;                       // the database that the ids are of
let complete = null;                    // all up to this id is here
let newest = 0;                         // last id that came live
let earlier = null;                     // address of the page before
let automatic = true;                   // scrolling up reads earlier ones
let stuck = true;                       // scrolled to the end
let pusher = null;


/* showing */

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const calendar = new Intl.DateTimeFormat(undefined,
                           { dateStyle: 'medium', timeStyle: 'short' });

function make(tag, name, text = '') {
    const made = document.createElement(tag);

    made.className = name;
    made.textContent = text;            // never HTML: others wrote it

    return made;
}

function bubble(content) {
    const item = make('li', '');
    const text = make('p', 'text', content);

    text.dir = 'auto';
    item.append(text, make('footer', ''));

    return item;
}

function render(message) {
    const item = bubble(message.content);
    const created = new Date(message.created_at);
    const today = created.toDateString() === new Date().toDateString();
    const time = make('time', '', (today ? clock : calendar).format(created));

    time.dateTime = message.created_at;
    time.title = created.toLocaleString();
    item.lastElementChild.append(time);

    if (message.author) {
        item.prepend(make('p', 'author', message.author));
    }

    item.dataset.id = message.id;
    item.classList.toggle('own', own.has(`${epoch} ${message.id}`));

    return item;
}

/* Pending messages have no id; they stay behind all that have one. */

const idOf = (item) => Number(item.dataset.id ?? Infinity);

function show(message) {
    if (items.has(message.id)) {
        return;
    }

    const item = render(message);
    let before = list.lastElementChild;

    if (list.firstElementChild && idOf(list.firstElementChild) > message.id) {
        list.prepend(item);

    } else {
        while (before && idOf(before) > message.id) {
            before = before.previousElementSibling;
        }

        before ? before.after(item) : list.prepend(item);
    }

    items.set(message.id, item);
}

function settle() {
    element('empty').hidden = complete === null || list.childElementCount > 0;
    element('earlier').hidden = earlier === null;

    if (stuck) {
        scroll.scrollTop = scroll.scrollHeight;
    }
}

const faults = { history: '', connection: '' };

function tell(of, text) {
    faults[of] = text;
    element('error').textContent = Object.values(faults).join(' ').trim();
}


/* the history */

async function request(address, options) {
    let response;

    try {
        response = await fetch(address, { cache: 'no-store', ...options });

    } catch {
        throw new Error('The server cannot be reached.');
    }

    if (!response.ok) {
        throw new Error(await explain(response));
    }

    return response;
}

async function explain(response) {
    const body = await response.json().catch(() => null);

    if (Array.isArray(body?.content)) {
        return `The message ${body.content.join(', ')}.`;
    }

    if (response.status === 413) {
        return 'The message is too long.';
    }

    return `The server says: ${body?.error ?? response.statusText}`
           + ` (${response.status}).`;
}

async function readPage(address) {
    const response = await request(address);
    const links = response.headers.get('Link') ?? '';
    const link = (rel) => links.match(`<([^>]*)>; *rel="${rel}"`)?.[1] ?? null;

    return {
        messages: await response.json(),
        epoch: response.headers.get('Chat-Epoch'),
        prev: link('prev'),
        next: link('next'),
    };
}

async function catchUp() {
    const first = `${messages}?limit=50`;
    let address = complete === null ? first
                                    : `${messages}?limit=500&after=${complete}`;

    while (address) {
        const page = await readPage(address);

        if (complete !== null && page.epoch !== epoch) {
            /* another database: its ids begin anew */
            complete = null;
            items.forEach((item) => item.remove());
            items.clear();
            address = first;
            continue;
        }

        epoch = page.epoch;

        if (complete === null) {
            complete = 0;
            earlier = page.prev;
        }

        page.messages.forEach(show);
        complete = Math.max(complete, page.messages.at(-1)?.id ?? 0);
        address = page.next;
        settle();
    }
}

let asked = 0;
let reading = false;

async function sync() {
    asked++;

    if (reading) {
        return;
    }

    reading = true;
    log.ariaBusy = 'true';

    for (let done = 0, delay = 1000; done !== asked; /* void */) {
        const now = asked;

        try {
            await catchUp();
            done = now;
            tell('history', '');

        } catch (error) {
            tell('history', `The history could not be read. ${error.message}`);
            await new Promise((resolve) => setTimeout(resolve, delay));
            delay = Math.min(delay * 2, 30000);
        }
    }

    complete = Math.max(complete, newest);
    log.ariaBusy = 'false';
    reading = false;
}

async function readEarlier() {
    const address = earlier;

    if (address === null) {
        return;
    }

    earlier = null;                     // one request at a time
    log.ariaBusy = 'true';
    settle();

    try {
        const page = await readPage(address);
        const fromEnd = scroll.scrollHeight - scroll.scrollTop;

        page.messages.reverse().forEach(show);
        earlier = page.prev;
        automatic = true;
        settle();
        scroll.scrollTop = scroll.scrollHeight - fromEnd;

    } catch (error) {
        earlier = address;
        automatic = false;              // or it would ask without end
        tell('history', `Earlier messages could not be read. `
                        + error.message);
        settle();
    }

    log.ariaBusy = 'false';
}


/* sending: one after the other, so that they are stored in this order */

let queue = Promise.resolve();

/* Not by randomUUID(), which pages without TLS lack. */

function makeKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));

    return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

function send(content, idempotencyKey = makeKey()) {
    const item = bubble(content);

    item.classList.add('own', 'pending');
    item.lastElementChild.textContent = 'Sending…';
    list.append(item);
    stuck = true;
    settle();

    queue = queue.then(() => post(content, idempotencyKey)).then(
        (message) => {
            item.remove();
            own.add(`${epoch} ${message.id}`);
            history.replaceState({ own: [...own].slice(-1000) }, '');
            items.get(message.id)?.classList.add('own');
            show(message);
            settle();
        },
        (error) => fail(item, error.message,
                        () => send(content, idempotencyKey)));
}

async function post(content, idempotencyKey) {
    const response = await request(messages, {
        method: 'POST',
        headers: {
            'Content-Type': 'application/json',
            'Idempotency-Key': idempotencyKey,
        },
        body: JSON.stringify({
            content,
            socket_id: pusher?.connection.socket_id,
        }),
    });

    return response.json();
}

function fail(item, reason, again) {
    const retry = make('button', '', 'Try again');
    const drop = make('button', '', 'Discard');
    const alert = make('span', 'reason', `Not sent. ${reason}`);

    alert.setAttribute('role', 'alert');
    retry.type = drop.type = 'button';
    retry.onclick = () => { item.remove(); again(); };
    drop.onclick = () => { item.remove(); settle(); };

    item.className = 'own failed';
    item.lastElementChild.replaceChildren(alert, retry, drop);
    settle();
}


/* the connection */

const words = {
    connecting: 'Connecting…',
    live: 'Live',
    reconnecting: 'Reconnecting…',
    offline: 'Offline',
};

function state(name, recovered = false) {
    const shown = element('state');

    if (name === 'connecting' && shown.dataset.state !== 'connecting') {
        name = 'reconnecting';
    }

    shown.dataset.state = name;
    shown.dataset.recovered = recovered;
    shown.textContent = words[name];
    shown.title = recovered ? 'Nothing was missed while it was away.' : '';
    element('reconnect').hidden = !pusher || name === 'live'
                                  || name === 'connecting';
}

function connect() {
    const tls = location.protocol === 'https:';
    const port = Number(location.port) || (tls ? 443 : 80);

    /* the token is new for each page, which has nothing yet */

    pusher = new Pusher(`${key};${makeKey()}`, {
        cluster: '',
        wsHost: location.hostname,
        wsPort: port,
        wssPort: port,
        forceTLS: tls,
        httpHost: location.hostname,        // where WebSocket does not get
        httpPort: port,                     // through: chat_fallback
        httpsPort: port,
        httpPath: '/pusher',
        enabledTransports: ['ws', 'wss', 'xhr_streaming', 'xhr_polling'],
        disableStats: true,
    });

    pusher.connection.bind('state_change', ({ current }) => {
        state(current.startsWith('connect') ? 'connecting' : 'offline');
    });

    pusher.connection.bind('connecting_in', () => state('connecting'));

    pusher.connection.bind('error', ({ error }) => {
        tell('connection', error?.data?.message ?? '');
    });

    let first = true;

    pusher.subscribe(channel)
        .bind('pusher:subscription_succeeded', (data) => {
            state('live', data?.recovered);
            tell('connection', '');

            /* what is recovered may begin behind the history as it was read */

            if (first || !data?.recovered) {
                first = false;
                newest = 0;
                sync();
            }
        })
        .bind(event, (message) => {
            // a server may trigger the event with data of its own
            if (!Number.isInteger(message?.id)) {
                return;
            }

            newest = message.id;
            show(message);
            settle();

            if (!reading) {
                complete = newest;
            }
        });
}


/* the controls */

form.addEventListener('submit', (submit) => {
    submit.preventDefault();

    if (box.value.trim() !== '') {
        send(box.value);
        box.value = '';
        box.dispatchEvent(new Event('input'));
    }

    box.focus();
});

box.addEventListener('keydown', (pressed) => {
    if (pressed.key === 'Enter' && !pressed.shiftKey && !pressed.isComposing) {
        pressed.preventDefault();
        form.requestSubmit();
    }
});

box.addEventListener('input', () => {
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight + 2}px`;     // and its border
});

scroll.addEventListener('scroll', () => {
    stuck = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
});

element('earlier').addEventListener('click', readEarlier);

element('reconnect').addEventListener('click', () => {
    pusher.disconnect();
    pusher.connect();
});

new ResizeObserver(settle).observe(scroll);

new IntersectionObserver(([seen]) => {
    if (seen.isIntersecting && automatic) {
        readEarlier();
    }
}, { root: scroll }).observe(element('earlier'));

sync();

if (window.Pusher) {
    connect();

} else {
    state('offline');
    tell('connection',
         'pusher-js could not be loaded: see /pusher-js/ in nginx.conf.');
}
