/*
 * The webhooks of the configuration, how each of them does, and a button that
 * sends again what they have given up.
 */

import { Again } from './again.js';
import { Dead } from './dead.js';
import { button, facts, h, link, write } from './element.js';
import { fault, sentence } from './fault.js';
import { count, duration, moment, plural } from './format.js';
import { address } from './names.js';
import { encode, get, post } from './server.js';

const EVERY = 5000;
const SOON = 1000;                      // while something is sent again
const BEGUN = 5000;                     // by then it has begun


/* What to do, by what the last try said. */

const CASES = [
    [/^status 3/, 'It answers with a redirect, and these are not followed: '
                  + 'webhook must have the address that it leads to.'],
    [/^status 40[13]/, 'It refuses. Look whether it checks the signature with '
                       + 'the secret of the key that stands last in chat_app.'],
    [/^status (404|405|410)/, 'There is nothing at this address that takes a '
                              + 'POST. Look at the path in webhook.'],
    [/^status 429/, 'It wants fewer requests. Without batch=off one request '
                    + 'has up to 20 events.'],
    [/^status 5/, 'It, or a proxy before it, has failed. Look into its log.'],
    [/resolve/i, 'Its name is not known here. Look at the name in webhook, '
                 + 'and at the name servers of this machine.'],
    [/certificate|SSL|TLS/i, 'Its certificate is not trusted here, or is for '
        + 'another name. chat_webhook_trusted_certificate names the file of '
        + 'an authority of your own.'],
    [/timed out/i, 'It must answer within 4 seconds: let it take the events, '
                   + 'answer, and work on them afterwards. Or a firewall '
                   + 'drops what is sent to it.'],
    [/connect|refused|reach/i, 'Nobody listens there, or a firewall is '
                               + 'between. Start it, or correct webhook.'],
];

const ELSE = 'Look whether it can be reached from this machine, and into its '
             + 'log.';


/* A webhook that no worker has looked at has no numbers. */

function sum(hooks, name) {
    return hooks.reduce((all, hook) => all + (hook[name] ?? 0), 0);
}


function state(hook) {
    return hook.queued === undefined ? 'unknown'
           : hook.last_error ? 'failing'
           : hook.dead ? 'left'
           : hook.last_success ? 'sending' : 'quiet';
}

const STATES = {
    unknown: 'not sent yet', failing: 'failing', left: 'events given up',
    sending: 'all right', quiet: 'nothing to send yet',
};


/* null: nothing is to be done. */

function advice(hook) {
    const is = state(hook);

    if (is === 'sending' || is === 'quiet') {
        return null;
    }

    if (is === 'left') {
        return 'There is no error now: send again what was given up.';
    }

    if (is === 'unknown') {
        return 'No worker has begun to send. It does within seconds of a '
               + 'start; if not, the error log says why, or chat_zone has no '
               + 'room for so many webhooks.';
    }

    const [, text] = CASES.find(([says]) => says.test(hook.last_error))
                     ?? [null, ELSE];

    const rest = [
        hook.queued > 0 && 'What waits is tried again by itself, for '
                           + `${duration(hook.retry)} from the first try on.`,
        hook.dead > 0 && 'Afterwards, send again what was given up.',
    ];

    return [text, ...rest.filter(Boolean)].join(' ');
}


function card(hook, now) {
    const is = state(hook);
    const todo = advice(hook);
    const time = (text) => moment(new Date(text), now);
    const since = (text) => (
        `${time(text)}, ${duration((now - new Date(text)) / 1000)}`);

    const numbers = is === 'unknown' ? [] : [
        ['Waiting', hook.queued ? plural(hook.queued, 'event') : 'none'],
        ['The oldest since', hook.oldest ? since(hook.oldest) : '–'],
        ['Failed tries', hook.tries ? count(hook.tries) : 'none'],
        ['Last answer', hook.last_status
            ? `status ${hook.last_status}` : 'none'],
        ['Last error', hook.last_error
            ? h('code', { class: 'bad' }, hook.last_error) : 'none'],
        ['Last success', hook.last_success
            ? time(hook.last_success) : 'none yet'],
        ['Given up', hook.dead
            ? h('strong', { class: 'bad' }, plural(hook.dead, 'event'))
            : 'none'],
    ];

    return h('section', { class: `card app hook ${is}` },
        h('div', { class: 'heading' },
          h('h3', null, h('code', null, hook.url)),
          h('span', { class: `tag ${todo ? 'bad' : ''}` }, STATES[is])),
        todo && h('p', { class: 'todo' }, h('strong', null, 'What to do: '),
                  todo),
        facts(numbers, { class: 'facts uses' }),
        facts([
            ['Events', hook.events.join(', ')],
            ['Channels', hook.channels.join(', ') || 'all'],
            ['Sent', hook.batch ? 'in batches' : 'one by one'],
            ['Tried for', duration(hook.retry)],
        ], { class: 'facts limits' }));
}


/* One app: what its buttons are in stays, as they may have the focus. */

class App {
    asked = null;                       // when something was sent again

    constructor(id, again) {
        this.id = id;
        this.again = again;
        this.revive = button('Send again', () => this.send(),
            { 'aria-label': `Send again what ${id} has given up` });
        this.lead = link('', address(['webhooks', id]));
        this.cards = h('div', { class: 'apps' });
        this.element = h('section', { class: 'hooks' },
            h('div', { class: 'heading' },
              h('h2', null, 'App ', h('code', null, id)),
              h('div', { class: 'buttons' }, this.revive, this.lead),
              this.done = h('p', { role: 'status' })),
            this.cards);
    }

    show(hooks, now) {
        const dead = sum(hooks, 'dead');
        const made = h('div', { class: 'apps' },
                       hooks.map((hook) => card(hook, now)));

        /* what has the focus must not vanish below it */

        for (const one of [this.revive, this.lead]) {
            one.hidden = dead === 0 && one !== document.activeElement;
        }

        write(this.lead, `Look at ${plural(dead, 'event')} given up`);
        this.lead.setAttribute('aria-label', `${this.lead.textContent} of `
                                             + this.id);
        this.tell(hooks, dead);

        if (made.outerHTML !== this.cards.outerHTML) {
            this.cards.replaceWith(made);
            this.cards = made;
        }
    }

    async send() {
        write(this.done, 'Asking…');

        try {
            await post(`apps/${encode(this.id)}/webhooks/revive`);
            this.asked = Date.now();
            write(this.done, 'What was given up is sent again.');

        } catch (error) {
            this.asked = null;
            write(this.done, `Not sent. ${sentence(error)}`);
        }

        this.again();
    }

    /* What has come of it, as soon as the server knows. */

    tell(hooks, dead) {
        if (this.asked === null || (dead && Date.now() - this.asked < BEGUN)) {
            return;
        }

        const waiting = sum(hooks, 'queued');
        const failing = hooks.find((hook) => hook.tries && hook.last_error);

        if (waiting === 0 || dead) {
            write(this.done, dead ? `${plural(dead, 'event')} given up again.`
                                  : 'All of it has arrived.');
            this.asked = null;

        } else {
            write(this.done, `${plural(waiting, 'event')} on the way${failing
                  ? `. The last try failed: ${failing.last_error}` : '…'}`);
        }
    }
}


function howTo() {
    return [
        h('p', null, h('strong', null, 'No app has a webhook.')),
        h('p', null, 'A webhook tells your server by a POST what happens: a ',
          'channel is in use, a member has come or left.'),
        h('p', null, 'Put ', h('code', null, 'webhook'), ' into ',
          h('code', null, 'chat_app'), '. It needs a ',
          h('code', null, 'chat_database'), '.'),
        h('pre', null, 'chat_app 1001 {\n    …\n'
                       + '    webhook  https://example.com/pusher;\n}'),
    ];
}


class Webhooks {
    title = 'Webhooks';
    apps = new Map();

    constructor() {
        this.element = h('div', null,
            h('h1', { tabindex: -1 }, 'Webhooks'),
            h('p', { class: 'faint lead' }, 'What servers of yours are told. ',
              'Events wait in the database until they have arrived.'),
            this.problem = h('div'),
            this.list = h('div'),
            this.empty = h('div', { class: 'empty', hidden: true }, howTo()));
        this.again = new Again((signal) => this.read(signal), EVERY);
        this.again.now();
    }

    /* False: that is what an app has given up. */

    update(route) {
        return route.path[1] === undefined;
    }

    retry() {
        this.again.now();
    }

    close() {
        this.again.close();
    }

    async read(signal) {
        try {
            const { data, headers } = await get('webhooks', { signal });
            const now = Date.parse(headers.get('Date'));

            this.problem.replaceChildren();
            this.show(data.webhooks, new Date(now || Date.now()));

        } catch (error) {
            if (!signal.aborted) {
                this.problem.replaceChildren(
                    fault(error, () => this.again.now()));
            }
        }
    }

    show(webhooks, now) {
        const groups = Map.groupBy(webhooks, ({ app }) => app);
        const apps = new Map();

        for (const [id, hooks] of groups) {
            const app = this.apps.get(id)
                        ?? new App(id, () => this.again.now());

            app.show(hooks, now);
            apps.set(id, app);
        }

        if ([...apps.keys()].join() !== [...this.apps.keys()].join()) {
            this.list.replaceChildren(...[...apps.values()].map((app) => (
                app.element)));
        }

        this.apps = apps;
        this.empty.hidden = webhooks.length > 0;
        this.again.every = [...apps.values()].some((app) => app.asked)
                           ? SOON : EVERY;
    }
}


export function open(route) {
    return route.path[1] === undefined ? new Webhooks() : new Dead(route);
}
