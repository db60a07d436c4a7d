/*
 * One channel: its counts, and below them one of its parts.
 */

import { Again } from './again.js';
import { readApps } from './app_choice.js';
import { facts, h, link } from './element.js';
import { fault } from './fault.js';
import { count, duration } from './format.js';
import { History } from './history.js';
import { Live } from './live.js';
import { Members } from './members.js';
import { address, channelAddress, isCache, isPresence, isStep, tags }
    from './names.js';
import { Row } from './row.js';
import { encode, get } from './server.js';

const EVERY = 4000;

/*
 * The part without a name is the first.  One that is kept goes on while
 * another one is shown: what has come live comes only once.
 */

const PARTS = [
    { name: '', title: 'Live', Part: Live, keep: true },
    { name: 'history', title: 'History', Part: History },
    { name: 'members', title: 'Members', Part: Members, when: isPresence },
];


class Channel {
    kept = new Map();

    constructor(route, context) {
        [, this.app, this.name] = route.path;
        this.context = context;
        this.title = this.name;
        this.again = new Again((signal) => this.ask(signal), EVERY);
        this.element = h('div', { class: 'channel' },
            h('p', { class: 'crumbs' },
              link('Channels', address(['channels', this.app])),
              ' of app ', h('code', null, this.app)),
            h('div', { class: 'headline' },
              h('h1', { tabindex: -1 }, this.name, ' ', tags(this.name)),
              this.counts = facts([['Subscriptions', '–']],
                                  { class: 'facts strip' })),
            this.problem = h('div'),
            this.cached = h('div'),
            this.tabs = h('nav', { class: 'tabs',
                                   'aria-label': 'Parts of the channel' }),
            this.place = h('div'));
        this.update(route);
        this.again.now();
        this.checkApp();
    }

    /* False: that is another channel, whose page is to be made anew. */

    update(route) {
        const [, app, name, part = ''] = route.path;

        if (app !== this.app || name !== this.name) {
            return false;
        }

        const found = PARTS.find((p) => p.name === part && this.has(p))
                      ?? PARTS[0];

        this.tabs.replaceChildren(h('ul', null,
            PARTS.filter((p) => this.has(p)).map((p) => h('li', null,
                link(p.title, channelAddress(app, name, p.name),
                     { 'aria-current': p === found && 'page' })))));

        if (this.shown === found) {
            this.part.update?.(route);
            return true;
        }

        if (!this.shown?.keep) {
            this.part?.close();
        }

        this.shown = found;
        this.part = this.kept.get(found)
                    ?? new found.Part({ app, name, ...this.context }, route);

        if (found.keep) {
            this.kept.set(found, this.part);
        }

        this.place.replaceChildren(this.part.element);

        return true;
    }

    has({ when }) {
        return !when || when(this.name);
    }

    retry() {
        this.again.now();
        this.part.retry?.();
    }

    close() {
        this.again.close();
        this.part.close();
        this.kept.forEach((part) => part.close());
    }

    /* An app that is not there would only show as an empty channel. */

    async checkApp() {
        const apps = await readApps().catch(() => null);

        if (apps && !apps.some(({ id }) => id === this.app)) {
            this.problem.replaceChildren(h('p', { class: 'fault' },
                `There is no app ${this.app} in this server’s configuration.`));
        }
    }

    async ask(signal) {
        const info = ['subscription_count'];

        if (isPresence(this.name)) {
            info.push('user_count');
        }

        if (isCache(this.name)) {
            info.push('cache');
        }

        try {
            const { data } = await get(
                `apps/${encode(this.app)}/channels/${encode(this.name)}`
                + `?info=${info.join(',')}`, { signal });

            this.problem.replaceChildren();
            this.show(data);

        } catch (error) {
            if (!signal.aborted) {
                this.problem.replaceChildren(
                    fault(error, () => this.again.now()));
            }
        }
    }

    show(data) {
        const counts = facts([
            ['Subscriptions', count(data.subscription_count ?? 0)],
            ...isPresence(this.name)
               ? [['Members', count(data.user_count ?? 0)]] : [],
            ...isCache(this.name)
               ? [['Cached event', data.cache
                   ? `for ${duration(data.cache.ttl)} more` : 'none']] : [],
        ], { class: 'facts strip' });

        if (counts.textContent !== this.counts.textContent) {
            this.counts.replaceWith(counts);
            this.counts = counts;
        }

        if (this.cache !== data.cache?.data) {
            this.cache = data.cache?.data;
            this.cached.replaceChildren(...this.cache === undefined ? [] : [
                h('ul', { class: 'rows card' }, new Row({
                    heading: [h('span', { class: 'what' }, 'Cached event')],
                    text: this.cache }).element)]);
        }
    }
}


/* In place of a channel that has no address. */

class Unreachable {
    constructor([, app, name]) {
        this.title = name;
        this.element = h('div', { class: 'channel' },
            h('p', { class: 'crumbs' },
              link('Channels', address(['channels', app])),
              ' of app ', h('code', null, app)),
            h('h1', { tabindex: -1 }, name),
            h('p', { class: 'fault' }, 'A channel with this name can’t be ',
              'opened here: browsers take the name for a step in the path.'));
    }

    close() {
        /* nothing is open */
    }
}


export function open(route, context) {
    return isStep(route.path[2]) ? new Unreachable(route.path)
                                 : new Channel(route, context);
}
