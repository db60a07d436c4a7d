/*
 * The demo's page: rooms with messages, people, and a connection to them.
 *
 * ask.js      requests, and what their errors mean
 * room.js     a room's messages, of which none is missed
 * message.js  what a message looks like
 * outbox.js   sending, so that a message is stored once
 * people.js   who is there, and who types
 *
 * index.html says which rooms there are, and nginx.conf who may do what.
 */

import { introduce, makeKey, me, nameHeader } from './ask.js';
import { avatar } from './message.js';
import { Outbox } from './outbox.js';
import { Room } from './room.js';

const { key, event, auth, limit } = document.body.dataset;

const element = (id) => document.getElementById(id);
const box = element('content');
const side = element('side');
const bytes = (text) => new TextEncoder().encode(text).length;

const rooms = [...document.querySelectorAll('nav a')].map((link) => (
    new Room(link, draw, drawPeople)));

const outbox = new Outbox(() => pusher?.connection.socket_id, (text) => {
    box.value = box.value.trim() ? `${text}\n${box.value}` : text;
    box.dispatchEvent(new Event('input'));
    box.focus();
});

let room = null;                        // the one on view
let pusher = null;
let lost = false;                       // the connection; pusher-js waits
let trouble = '';                       // what the connection complains of
let today = new Date().toDateString();


/* showing */

function write(id, text) {
    const shown = element(id);

    if (shown.textContent !== text) {   // or it would be read out again
        shown.textContent = text;
    }
}

function draw() {
    if (!room) {
        return;
    }

    if (room.stuck && !document.hidden && document.hasFocus()) {
        room.unread = 0;
    }

    let unread = 0;

    rooms.forEach(({ link, unread: n }) => {
        const badge = link.querySelector('.badge');

        badge.hidden = n === 0;
        badge.firstChild.data = n;
        unread += n;
    });

    document.title = (unread ? `(${unread}) ` : '') + `${room.name} – Chat`;
    element('menu').classList.toggle('unread', unread > room.unread);
    element('jump').hidden = room.stuck;
    write('jump', room.unread ? `${room.unread} new` : 'To the end');

    if (today !== new Date().toDateString()) {
        today = new Date().toDateString();
        rooms.forEach((one) => one.arrange());
    }

    drawState();
}

function drawPeople() {
    const { people } = room;
    const n = isLive(element('state').dataset.state)
              && people.channel?.subscribed ? people.names.length : 0;

    element('alone').hidden = n !== 1;
    write('online', n ? `${n} online` : '');
    write('typing', people.typists);

    if (n || !me.name) {                // or those who were there last
        people.draw(element('people'));
    }
}

function drawWho() {
    element('who').hidden = me.name !== '';
    element('form').hidden = me.name === '';
    box.dispatchEvent(new Event('input'));
    element('mine').hidden = me.name === '';
    element('nobody').hidden = me.name !== '';
    element('rename').hidden = !me.typed;
    element('mine').querySelector('.name').textContent = me.name;
    element('mine').querySelector('.avatar').replaceWith(avatar(me.name));
}

function drawCounter() {
    const left = limit - bytes(box.value);

    element('counter').classList.toggle('over', left < 0);
    write('counter', left < 0 ? `${-left} too many`
                     : left > limit / 10 ? '' : `${left} left`);
    box.ariaInvalid = String(left < 0);
}


/* the state of the connection, and of what is read besides */

const words = {
    connecting: 'Connecting…',
    live: 'Live',
    partial: 'Live, no history',
    reconnecting: 'Reconnecting…',
    offline: 'Offline',
};

const isLive = (state) => state === 'live' || state === 'partial';

function stateOf() {
    const joined = rooms.filter((one) => (
        one.recovered !== null && !one.refused));
    const state = pusher?.connection.state;

    if (!lost && state === 'connected' && joined.length
        && joined.every(({ channel }) => channel.subscribed))
    {
        return rooms.some(({ fault }) => fault) ? 'partial' : 'live';
    }

    return !['connecting', 'connected', 'unavailable', 'initialized']
               .includes(state) ? 'offline'
           : element('state').dataset.state === 'connecting' ? 'connecting'
           : 'reconnecting';
}

function drawState() {
    const { dataset } = element('state');
    const was = dataset.state;
    const state = stateOf();
    const live = isLive(state);
    const recovered = live && rooms.every((one) => one.recovered !== false);

    dataset.state = state;
    dataset.recovered = recovered;
    write('state', words[state]);
    element('state').title = recovered
        ? 'Nothing was missed while it was away.' : '';
    element('reconnect').hidden = !pusher || state === 'live'
                                  || state === 'connecting';

    const faults = rooms.filter(({ fault }) => fault).map(({ fault }) => (
        `The history could not be read. ${fault}`));

    write('error', [...new Set([trouble, ...faults])].join(' ').trim());

    if (state !== was) {
        drawPeople();
    }

    if (live && !isLive(was)) {
        trouble = '';
        outbox.again();
    }
}

function complain(text) {
    trouble = text;
    draw();
}


/* the connection */

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
        channelAuthorization: {
            endpoint: auth,
            transport: 'ajax',
            headersProvider: () => nameHeader() || {},
        },
    });

    pusher.connection.bind('state_change', () => {
        lost = false;
        draw();
    });

    pusher.connection.bind('connecting_in', () => {
        lost = true;
        draw();
    });

    pusher.connection.bind('error', ({ error }) => {
        complain(error?.data?.message ?? trouble);
    });
}

/* As far as one gets with this name, or without any. */

function enter() {
    for (const one of rooms) {
        if (me.name || !one.private) {
            one.enter(pusher, event);
        }

        if (me.name && pusher) {
            one.people.enter(pusher, one.link.dataset.people);
        }

        one.arrange();
        one.settle();
    }
}


/* the controls */

function attend() {
    if (!matchMedia('(pointer: coarse)').matches) {     // a screen's keyboard
        (me.name ? box : element('name')).focus();
    }
}

function open() {
    const next = rooms.find(({ link }) => link.hash === location.hash)
                 ?? rooms[0];

    if (room) {
        room.draft = box.value;
        room.section.hidden = true;
        room.link.ariaCurrent = null;
    }

    room = next;
    room.section.hidden = false;
    room.link.ariaCurrent = 'page';
    write('title', room.name);
    write('about', room.link.title);
    box.value = room.draft;
    box.dispatchEvent(new Event('input'));
    side.hidePopover?.();
    room.settle();
    drawPeople();
    attend();
}

async function start(name) {
    await introduce(name);
    drawWho();
    enter();
    attend();
}

element('who').addEventListener('submit', async (submit) => {
    submit.preventDefault();

    const name = element('name').value.trim();

    if (name !== '') {
        await start(name);
        write('refused', me.name ? '' : 'This name can not be taken. Letters,'
              + ' digits and spaces will do.');
    }
});

element('rename').addEventListener('click', () => {
    sessionStorage.removeItem('name');
    location.reload();
});

element('form').addEventListener('submit', (submit) => {
    submit.preventDefault();

    if (bytes(box.value) > limit) {
        write('refused', 'The message is too long.');

    } else if (box.value.trim() !== '') {
        outbox.send(room, box.value);
        room.people.sent();
        box.value = '';
        box.dispatchEvent(new Event('input'));
    }

    box.focus();
});

box.addEventListener('keydown', (pressed) => {
    if (pressed.key === 'Enter' && !pressed.shiftKey && !pressed.isComposing) {
        pressed.preventDefault();
        element('form').requestSubmit();
    }
});

box.addEventListener('input', (typed) => {
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight + 2}px`;     // and its border
    room.settle();
    drawCounter();
    write('refused', '');

    if (typed.isTrusted && box.value.trim() !== '') {
        room.people.typed();
    }
});

element('jump').addEventListener('click', () => {
    room.toEnd();
    box.focus();
});

element('reconnect').addEventListener('click', () => {
    rooms.forEach((one) => one.retry());

    if (stateOf() !== 'partial') {
        pusher.disconnect();
        pusher.connect();
    }
});

/* A window of its own where that can be: two of them, side by side. */

document.querySelectorAll('.second').forEach((link) => {
    link.addEventListener('click', (click) => {
        click.preventDefault();
        window.open(link.href + location.hash, '',
                    'popup,noopener,width=440,height=720');
    });
});

/* Or who has left stays online, as long as the browser keeps the page. */

addEventListener('pagehide', () => pusher?.disconnect());
addEventListener('pageshow', ({ persisted }) => persisted && pusher?.connect());

addEventListener('hashchange', open);
addEventListener('focus', draw);
document.addEventListener('visibilitychange', draw);

addEventListener('beforeunload', (unload) => {
    if (outbox.letters.size) {
        unload.preventDefault();
    }
});

if (window.Pusher) {
    connect();

} else {
    trouble = 'pusher-js could not be loaded: see /pusher-js/ in nginx.conf.';
}

rooms.forEach(({ section }) => element('jump').before(section));
open();
enter();
start(sessionStorage.getItem('name') ?? '');
