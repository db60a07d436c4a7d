/*
 * The apps of the configuration: their limits, and what they use of them.
 */

import { Again } from './again.js';
import { readApps } from './app_choice.js';
import { facts, h, link } from './element.js';
import { fault } from './fault.js';
import { bytes, count, duration, percent } from './format.js';
import { address } from './names.js';

const EVERY = 5000;
const NEARLY = 0.9;                     // of a limit: that deserves a colour

const onOff = (value) => (value ? 'on' : 'off');
const limit = (value) => (value ? count(value) : 'no limit');
const time = (value) => (value ? duration(value) : 'off');
const list = (value) => ([value].flat().join(' ') || 'none');

/* The directives of chat_app, and how their values read. */

const LIMITS = {
    client_events: onOff,
    subscription_count: onOff,
    watchlist: onOff,
    tls_only: onOff,
    max_connections: limit,
    channels_per_connection: limit,
    presence_members: limit,
    cache_ttl: time,
    timestamp_window: time,
    authorization_timeout: time,
    store: list,
};

/* Shown elsewhere in an app's card, or not at all. */

const OTHER = ['id', 'key', 'enabled', 'stored', 'connections',
               'zone_held_bytes', 'zone_share_bytes', 'zone_refused'];


/* The text says it; the bar is for those who see it at a glance. */

function use(term, used, most, format) {
    if (used === undefined) {
        return [term, 'no limit, not counted'];
    }

    const part = most > 0 ? Math.min(1, used / most) : 0;
    const text = most > 0
        ? `${format(used)} of ${format(most)}, ${percent(used, most)}`
        : `${format(used)}, no limit`;
    const filled = h('span', { class: part >= NEARLY ? 'nearly' : null });

    filled.style.inlineSize = `${part * 100}%`;

    return [term, text, most > 0 && h('span', { class: 'bar',
                                                'aria-hidden': 'true' },
                                      filled)];
}


function value(name, given) {
    if (LIMITS[name]) {
        return LIMITS[name](given);
    }

    return typeof given === 'boolean' ? onOff(given)
           : typeof given === 'number' ? count(given)
           : typeof given === 'string' ? given : JSON.stringify(given);
}


function card(app) {
    const names = [...Object.keys(LIMITS).filter((name) => name in app),
                   ...Object.keys(app).filter((name) => (
                       !(name in LIMITS) && !OTHER.includes(name)))];
    const uses = [
        use('Connections', app.connections, app.max_connections, count),
        use('Shared memory', app.zone_held_bytes, app.zone_share_bytes, bytes),
    ];

    if (app.zone_refused) {
        uses.push(['Refused memory', h('strong', { class: 'bad' },
                   app.zone_refused === 1 ? 'once'
                                          : `${count(app.zone_refused)} times`)
        ]);
    }

    return h('section', { class: 'card app' },
        h('div', { class: 'heading' },
          h('h2', null, app.id),
          app.enabled === false
          && h('span', { class: 'tag bad' }, 'not enabled'),
          app.stored === false && h('span', { class: 'tag' }, 'no database'),
          link('Channels', address(['channels', app.id]),
               { 'aria-label': `Channels of ${app.id}` })),
        h('p', { class: 'key' }, 'Key ', h('code', null, app.key)),
        facts(uses, { class: 'facts uses' }),
        facts(names.map((name) => [h('code', null, name),
                                   value(name, app[name])]),
              { class: 'facts limits' }));
}


class Apps {
    title = 'Apps';

    constructor() {
        this.element = h('div', null,
            h('h1', { tabindex: -1 }, 'Apps'),
            h('p', { class: 'faint lead' },
              'As the configuration has them. Secrets are not shown. Shared ',
              'memory is what the app can surely have; it may hold more ',
              'while others leave it.'),
            this.problem = h('div'),
            this.cards = h('div', { class: 'apps' }));
        this.again = new Again((signal) => this.read(signal), EVERY);
        this.again.now();
    }

    retry() {
        this.again.now();
    }

    close() {
        this.again.close();
    }

    async read(signal) {
        try {
            this.show(await readApps(signal));
            this.problem.replaceChildren();

        } catch (error) {
            if (!signal.aborted) {
                this.problem.replaceChildren(
                    fault(error, () => this.again.now()));
            }
        }
    }

    show(apps) {
        const made = h('div', { class: 'apps' }, apps.length
            ? apps.map(card)
            : h('p', { class: 'empty' }, 'There is no ',
                h('code', null, 'chat_app'), ' in the configuration.'));

        if (made.outerHTML !== this.cards.outerHTML) {
            this.cards.replaceWith(made);
            this.cards = made;
        }
    }
}


export function open() {
    return new Apps();
}
