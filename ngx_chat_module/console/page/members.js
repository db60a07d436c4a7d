/*
 * The members of a presence channel, and how to send one away.
 */

import { Again } from './again.js';
import { ask, button, field, h, write } from './element.js';
import { fault, sentence } from './fault.js';
import { count } from './format.js';
import { exact } from './json.js';
import { isStep } from './names.js';
import { encode, get, post } from './server.js';
import { Table } from './table.js';

const PAGE = 100;
const EVERY = 5000;


export class Members {
    members = [];
    most = PAGE;

    constructor({ app, name }) {
        this.app = app;
        this.path = `apps/${encode(app)}/channels/${encode(name)}/users`;
        this.element = h('section', null,
            h('div', { class: 'heading' }, h('h2', null, 'Members'),
              this.done = h('p', { class: 'done', role: 'status' })),
            this.toolbar(), this.problem = h('div'),
            this.list(), this.empty = h('p', { class: 'empty' }, 'Reading…'),
            this.more = button('', () => {
                this.most += PAGE;
                this.show();
            }, { hidden: true }));
        this.again = new Again((signal) => this.read(signal), EVERY);
        this.again.now();
    }

    retry() {
        this.again.now();
    }

    close() {
        this.again.close();
    }

    toolbar() {
        this.filter = h('input', { type: 'search', id: 'who',
            autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
            oninput: () => {
                this.most = PAGE;
                this.show();
            } });

        return h('div', { class: 'toolbar' },
                 h('div', { class: 'grow' },
                   field('Only with this text', this.filter)));
    }

    list() {
        this.table = new Table({
            label: 'Members',
            key: (row) => row.id,
            columns: [
                { title: 'User', class: 'name', text: (row) => row.id },
                { title: 'Action', class: 'action', make: (row) => button(
                    'Disconnect', () => this.terminate(row.id),
                    { 'aria-label': `Disconnect ${row.id}` }) },
                { title: 'Information', class: 'info', text: (row) => (
                    row.info === undefined || row.info === null
                    ? '' : JSON.stringify(row.info)) },
            ],
            attributes: { class: 'scroll card list', hidden: true },
        });

        return this.table.element;
    }

    async read(signal) {
        try {
            const { data } = await get(this.path, { signal, parse: exact });

            this.members = data.users;
            this.problem.replaceChildren();
            this.show();

        } catch (error) {
            if (!signal.aborted) {
                this.problem.replaceChildren(
                    fault(error, () => this.again.now()));
            }
        }
    }

    show() {
        const wanted = this.filter.value.toLowerCase();
        const found = this.members.filter(({ id, info }) => (
            `${id} ${JSON.stringify(info ?? '')}`.toLowerCase()
                                                  .includes(wanted)));
        const rows = found.slice(0, this.most);

        this.table.element.hidden = rows.length === 0;
        this.table.update(rows);
        this.empty.hidden = rows.length > 0;
        write(this.empty, this.members.length
              ? 'No member has this text.' : 'Nobody is in this channel now.');
        this.more.hidden = rows.length === found.length;
        write(this.more, `Show more of ${count(found.length - rows.length)}`);
    }

    async terminate(user) {
        if (isStep(user)) {
            write(this.done, `A user named “${user}” can’t be disconnected: `
                             + 'browsers take the name for a step in the '
                             + 'path.');
            return;
        }

        const sure = await ask(`Disconnect ${user}?`,
            `Closes every connection that has signed in as ${user}, in all of `
            + `the app ${this.app}. pusher-js does not come back by itself. `
            + 'Connections that never signed in stay, also as members.',
            'Disconnect');

        if (!sure) {
            return;
        }

        try {
            await post(`apps/${encode(this.app)}/users/${encode(user)}`
                       + '/terminate_connections');
            write(this.done, `The connections of ${user} were closed.`);

        } catch (error) {
            write(this.done, `Not disconnected. ${sentence(error)}`);
        }

        this.again.now();
    }
}
