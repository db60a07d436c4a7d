/*
 * Rows of the database, a page at a time, the newest first.
 *
 * The server's pages are the oldest first; its Link header says from which
 * id on the page before and the page behind are.
 *
 * Who extends it has url, that the pages are at; address(query), of one of
 * them in the console; row(item), an element; none(), what a 404 means; and
 * nothing(), where there are no rows.
 */

import { h, link, write } from './element.js';
import { fault } from './fault.js';
import { count } from './format.js';
import { get } from './server.js';

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


export class Paged {
    constructor({ heading, what }) {
        this.element = h('section', { class: 'history' },
            h('div', { class: 'heading' }, h('h2', null, heading),
              this.range = h('p', { class: 'faint', role: 'status' },
                             'Reading…')),
            this.problem = h('div'),
            this.list = h('ol', { class: 'rows card', reversed: true,
                                  'aria-label': `${what}, newest first` }),
            this.empty = h('div', { class: 'empty', hidden: true }),
            this.pager = h('nav', { class: 'buttons pager',
                                    'aria-label': 'Pages of the list' }));
        this.list.hidden = true;
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

        try {
            const { data, headers } = await get(`${this.url}?${this.query}`,
                                                { signal });

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
                ? h('div', { class: 'empty' }, this.none())
                : fault(error, () => this.read()));
        }
    }

    show(items, { prev, next }) {
        const at = this.query.has('before') || this.query.has('after');
        const to = (text, query, target) => (
            link(text, this.address(query), target));

        this.list.hidden = items.length === 0;
        this.list.replaceChildren(...items.toReversed().map((item) => (
            this.row(item))));

        this.empty.hidden = items.length > 0;
        this.empty.replaceChildren(...at ? [h('p', null, 'There are no more.')]
                                         : this.nothing());

        write(this.range, items.length
              ? `#${items[0].id} to #${items.at(-1).id}, `
                + count(items.length) : '');
        this.pager.replaceChildren(...[
            at && to('Newest', {}),
            next && to('Newer', next),
            prev && to('Older', prev),
            prev && this.oldest && to('Oldest', this.oldest),
        ].filter(Boolean));
    }
}
