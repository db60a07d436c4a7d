/*
 * The channels of an app that have subscribers.
 *
 * The server sorts and counts.  Of the most subscribed it gives the first 500
 * and no more, so these are paged here; by name it goes on behind any name.
 */

import { Again } from './again.js';
import { chooser, choose, readApps } from './app_choice.js';
import { field, h, link, options, write } from './element.js';
import { fault } from './fault.js';
import { clock, count, plural } from './format.js';
import { address, channelAddress, isValid, tags } from './names.js';
import { encode, get } from './server.js';
import { Table } from './table.js';

const PAGE = 50;
const MOST = 500;                       // that the server gives at a time
const EVERY = 5000;
const TYPING = 200;                     // ms without a key, before it asks


/* Where "Previous" leads, by app and prefix: a name does not say it. */

const trails = new Map();


class Channels {
    title = 'Channels';
    app = null;
    held = false;                       // the pointer or focus is in the list

    constructor(route, { go }) {
        this.go = go;
        this.again = new Again((signal) => this.ask(signal), EVERY);
        this.element = h('div', null,
            h('h1', { tabindex: -1 }, 'Channels'),
            this.form(), this.problem = h('div'),
            h('p', { class: 'summary' },
              this.total = h('strong'), ' ', this.more = h('span', null),
              this.updated = h('span', { class: 'faint updated' })),
            this.list(),
            this.empty = h('div', { class: 'empty', hidden: true }),
            this.pager = h('nav', { class: 'buttons pager',
                                    'aria-label': 'Pages of the list' }));
        this.read(route);
        this.again.now();
    }

    read(route) {
        [, this.id] = route.path;
        this.query = { prefix: route.query.get('prefix') ?? '',
                       sort: route.query.get('sort') === 'name' ? 'name' : '',
                       after: route.query.get('after') ?? '',
                       page: this.pageOf(route) };

        if (this.prefix.value !== this.query.prefix) {
            this.prefix.value = this.query.prefix;
        }

        this.sort.value = this.query.sort;
    }

    /* A number from 1 on, or ''. */

    pageOf(route) {
        return Math.max(0, Math.trunc(Number(route.query.get('page')))) || '';
    }

    update(route) {
        this.read(route);
        this.again.now();
    }

    retry() {
        this.again.now();
    }

    close() {
        clearTimeout(this.typing);
        this.again.close();
    }

    form() {
        let typed;

        this.prefix = h('input', { type: 'search', id: 'prefix',
            autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
            oninput: () => {
                clearTimeout(this.typing);
                this.typing = setTimeout(() => {
                    typed = this.prefix.value;
                    this.change({ prefix: typed, after: '', page: '' });
                }, TYPING);
            } });
        this.sort = options(h('select', { id: 'sort', onchange: () => (
            this.change({ sort: this.sort.value, after: '', page: '' })) }),
            [['', 'Most subscriptions'], ['name', 'Name']]);
        this.choice = h('div', { class: 'slot' });

        return h('form', { class: 'toolbar', role: 'search',
                           onsubmit: (event) => event.preventDefault() },
            this.choice,
            h('div', { class: 'field grow' },
              h('label', { for: 'prefix' }, 'Name begins with'),
              this.prefix),
            field('Sorted by', this.sort));
    }

    list() {
        const number = (title, text) => ({ title, text, class: 'number' });
        const hold = () => { this.held = true; };
        const release = () => {
            this.held = this.table.element.matches(':hover, :focus-within');
        };

        this.table = new Table({
            label: 'Channels',
            key: (row) => row.name,
            columns: [
                { title: 'Channel', class: 'name', make: (row) => (
                    link(row.name, channelAddress(this.app.id, row.name))) },
                { title: 'Kind', class: 'kind',
                  make: (row) => tags(row.name) },
                number('Subscriptions', (row) => count(row.subscriptions)),
                number('Members', (row) => (
                    row.users === undefined ? '' : count(row.users))),
            ],
            attributes: { class: 'scroll card list', hidden: true,
                          onpointerenter: hold, onpointerleave: release,
                          onfocusin: hold, onfocusout: release },
        });

        return this.table.element;
    }

    /* The address says what is shown; a filter is no step of its own in it. */

    change(query) {
        this.held = false;
        this.go(address(['channels', this.app?.id ?? this.id].filter(Boolean),
                        { ...this.query, ...query }), { replace: true });
    }

    async ask(signal) {
        if (this.held && this.shown === this.asked()) {
            return;                     // rows don't move below the pointer
        }

        try {
            if (this.app?.id !== this.id || !this.app) {
                await this.chooseApp(signal);
            }

            const wanted = this.asked();
            const { prefix, sort, after } = this.query;
            const query = new URLSearchParams({
                sort: sort || 'subscriptions', limit: sort ? PAGE : MOST });

            if (prefix) {
                query.set('filter_by_prefix', prefix);
            }

            if (sort && after) {
                query.set('after', after);
            }

            const { data } = await get(
                `apps/${encode(this.app.id)}/channels?${query}`, { signal });

            this.shown = wanted;
            this.show(data);

        } catch (error) {
            if (!signal.aborted) {
                this.problem.replaceChildren(
                    fault(error, () => this.again.now()));
            }
        }
    }

    asked() {
        return JSON.stringify([this.id, this.query]);
    }

    async chooseApp(signal) {
        const apps = await readApps(signal);

        this.app = choose(apps, this.id);

        if (!this.app && this.id !== undefined) {
            this.app = { id: this.id }; // the server says what is wrong
        }

        if (!this.app) {
            throw new Error('There is no chat_app.');
        }

        /* the address says which, for links and for the way back */

        if (this.id === undefined) {
            this.id = this.app.id;
            history.replaceState(null, '', address(['channels', this.id],
                                                   this.query));
        }

        this.choice.replaceChildren(...[chooser(apps, this.app, (id) => (
            this.go(address(['channels', id],
                            { ...this.query, after: '', page: '' }))))]
            .filter(Boolean));
    }

    show({ total, channels }) {
        const { sort, prefix } = this.query;
        const pages = sort ? 1 : Math.max(1, Math.ceil(channels.length / PAGE));
        const page = Math.min(pages, this.query.page || 1);
        const rows = sort ? channels
                          : channels.slice((page - 1) * PAGE, page * PAGE);
        const only = !sort && total > channels.length
            ? `, the ${count(channels.length)} with most subscriptions`
            : '';

        this.problem.replaceChildren();
        write(this.total, plural(total, 'channel'));
        write(this.more, (prefix ? `with “${prefix}…”` : 'with subscribers')
                         + only);
        write(this.updated, `at ${clock(new Date())}`);
        this.table.element.hidden = rows.length === 0;
        this.table.update(rows);
        this.tellEmpty(total, rows.length);
        this.page(pages, page, rows);
    }

    tellEmpty(total, rows) {
        const { prefix } = this.query;
        const open = isValid(prefix)
            && h('p', null, link(`Open the channel “${prefix}”`,
                                 channelAddress(this.app.id, prefix)),
                 ' all the same, for its history or to send an event.');
        const hint = h('p', null, 'A channel is here while a client is in it: '
            + 'pusher.subscribe("chat"). Others can be opened by their whole '
            + 'name above.');

        this.empty.hidden = rows > 0;

        if (rows === 0) {
            this.empty.replaceChildren(...[
                h('p', null, prefix
                  ? `No channel with subscribers begins with “${prefix}”.`
                  : total ? 'There are no more.'
                          : 'Nobody is subscribed to a channel now.'),
                prefix ? open : hint].filter(Boolean));
        }
    }

    page(pages, page, rows) {
        const { sort, after, prefix } = this.query;
        const to = (text, query) => link(text, address(
            ['channels', this.app.id], { ...this.query, ...query }));
        const key = JSON.stringify([this.app.id, prefix]);
        const trail = trails.get(key) ?? [''];
        const links = [];

        if (!sort) {
            const before = page > 2 ? page - 1 : '';

            links.push(page > 1 && to('Previous', { page: before }),
                       pages > 1 && h('span', null, `Page ${page} of ${pages}`),
                       page < pages && to('Next', { page: page + 1 }));

        } else {
            const place = trail.indexOf(after);
            const next = rows.length === PAGE && rows.at(-1).name;

            if (place >= 0 && next) {
                trails.set(key, [...trail.slice(0, place + 1), next]);
            }

            links.push(after && to('First', { after: '' }),
                       place > 0 && to('Previous', { after: trail[place - 1] }),
                       next && to('Next', { after: next }));
        }

        const made = h('div', null, links);

        if (made.innerHTML !== this.pager.innerHTML) {
            this.pager.replaceChildren(...made.childNodes);
        }
    }
}


export function open(route, context) {
    return new Channels(route, context);
}
