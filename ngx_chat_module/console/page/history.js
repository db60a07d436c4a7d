/*
 * What is stored of a channel, a page at a time, the newest first.
 *
 * The server's pages are the oldest first; its Link header says from which
 * id on the page before and the page behind are.
 */

import { h, link, write } from './element.js';
import { fault } from './fault.js';
import { count, moment } from './format.js';
import { channelAddress } from './names.js';
import { Row } from './row.js';
import { encode, get } from './server.js';

const PAGE = 50;


/* { prev: { before: '451' }, next: { after: '500' } }, as far as given */

function leads(header) {
    const found = {};
    const links = /<[^>]*[?&](before|after)=(\d+)[^>]*>;\s*rel="?(\w+)/g;

    for (const [, argument, id, rel] of (header ?? '').matchAll(links)) {
        found[rel] = { [argument]: id };
    }

    return found;
}


export class History {
    constructor({ app, name }, route) {
        this.app = app;
        this.name = name;
        this.element = h('section', { class: 'history' },
            h('div', { class: 'heading' }, h('h2', null, 'Stored messages'),
              this.range = h('p', { class: 'faint', role: 'status' },
                             'Reading…')),
            this.problem = h('div'),
            this.list = h('ol', { class: 'rows card', reversed: true,
                                  'aria-label': 'Messages, newest first' }),
            this.empty = h('div', { class: 'empty', hidden: true }),
            this.pager = h('nav', { class: 'buttons pager',
                                    'aria-label': 'Pages of the history' }));
        this.list.hidden = true;
        this.update(route);
    }

    update(route) {
        const query = new URLSearchParams({ limit: PAGE });

        for (const name of ['before', 'after']) {
            if (/^\d+$/.test(route.query.get(name) ?? '')) {
                query.set(name, route.query.get(name));
                break;
            }
        }

        this.query = query;
        this.read();
    }

    retry() {
        if (this.problem.hasChildNodes()) {
            this.read();
        }
    }

    close() {
        this.abort?.abort();
    }

    async read() {
        this.abort?.abort();
        this.abort = new AbortController();

        const { signal } = this.abort;
        const { query } = this;

        try {
            const { data, headers } = await get(`apps/${encode(this.app)}`
                + `/history/${encode(this.name)}?${query}`, { signal });

            this.problem.replaceChildren();
            this.show(data, leads(headers.get('Link')));

        } catch (error) {
            if (signal.aborted) {
                return;
            }

            this.list.hidden = true;
            write(this.range, '');
            this.pager.replaceChildren();
            this.problem.replaceChildren(error.kind === 'missing'
                ? this.none() : fault(error, () => this.read()));
        }
    }

    /* The server's 404. */

    none() {
        return h('div', { class: 'empty' },
            h('p', null, 'Nothing is stored here.'),
            h('p', null, 'The server has no ', h('code', null,
              'chat_database'), ', or this app is not there.'));
    }

    row(message) {
        const { event, data, author, content } = message;
        const time = new Date(message.created_at);
        const heading = [
            h('span', { class: 'id' }, `#${message.id}`), ' ',
            h('time', { datetime: message.created_at }, moment(time)), ' ',
            event !== undefined
            ? h('span', { class: 'what' }, event)
            : h('span', { class: 'who' }, author ?? ''), ' ',
        ];

        return new Row({ heading, text: String(data ?? content ?? ''),
            more: h('span', { class: 'faint' }, message.created_at) }).element;
    }

    show(messages, { prev, next }) {
        const at = this.query.has('before') || this.query.has('after');
        const to = (text, query, target) => link(text,
            channelAddress(this.app, this.name, 'history', query), target);

        this.list.hidden = messages.length === 0;
        this.list.replaceChildren(...messages.toReversed().map((message) => (
            this.row(message))));

        this.empty.hidden = messages.length > 0;
        this.empty.replaceChildren(h('p', null, at
            ? 'There are no more.' : 'No message of this channel is stored.'),
            h('p', null, 'Those of ', h('code', null, 'chat_publish'),
              ' are, and events of servers on the channels that ',
              h('code', null, 'store'), ' names.'));

        write(this.range, messages.length
              ? `#${messages[0].id} to #${messages.at(-1).id}, `
                + count(messages.length) : '');
        this.pager.replaceChildren(...[
            at && to('Newest', {}),
            next && to('Newer', next),
            prev && to('Older', prev),
            prev && to('Oldest', { after: '0' }),
        ].filter(Boolean));
    }
}
