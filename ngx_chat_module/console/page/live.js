/*
 * A channel's events as they come, and a form to send one.
 *
 * A browser can't show a thousand lines a second, and nobody can read them.
 * So the list is drawn four times a second, with at most some lines each
 * time, and says how many it left out.  All of the last thousand are kept:
 * when the list is paused it shows as many of them as it has lines, without
 * gaps.
 */

import { button, field, h, options, write } from './element.js';
import { fault, words } from './fault.js';
import { bytes, clockMs, count, plural, rate } from './format.js';
import { Log, matcher } from './log.js';
import { isUser } from './names.js';
import { Row } from './row.js';
import { SendForm } from './send.js';
import { encode } from './server.js';
import { Stream } from './stream.js';

const EVERY = 250;                      // ms between drawings
const LINES = 25;                       // at most, of one drawing
const RATE_OVER = 8;                    // drawings that the rate is over


/* What the server's streams do not have. */

function deaf(name) {
    if (isUser(name)) {
        return 'What is sent to a user goes to this user’s connections only, '
               + 'and cannot be shown here.';
    }

    return name.includes(',')
           ? 'The events of a channel with a comma in its name cannot be '
             + 'shown here: the comma would divide it.' : '';
}


export class Live {
    log = new Log();
    matches = matcher('');
    matched = 0;                        // of those that came, by the filter
    drawn = { key: 0, matched: 0 };     // up to where the list shows them
    rows = new Map();
    limit = 200;
    paused = false;
    counts = [];

    constructor({ app, name }) {
        this.path = `apps/${encode(app)}/stream?channels=${encode(name)}`;
        this.deaf = deaf(name);
        this.form = new SendForm(app, name);
        this.element = h('div', { class: 'live' }, this.form.element,
            h('section', { class: 'events' },
              h('div', { class: 'heading' }, h('h2', null, 'Events'),
                this.state = h('p', { class: 'state', role: 'status',
                                      hidden: this.deaf !== '' })),
              this.toolbar(),
              this.problem = h('div'),
              this.list = h('ol', { class: 'rows card', reversed: true,
                                    'aria-label': 'Events, newest first' }),
              this.empty = h('p', { class: 'empty' })));
        this.rebuild();

        if (!this.deaf) {
            this.timer = setInterval(() => this.draw(), EVERY);
            this.connect();
        }
    }

    retry() {
        if (this.problem.hasChildNodes()) {
            this.connect();
        }
    }

    close() {
        clearInterval(this.timer);
        this.stream?.close();
    }

    connect() {
        this.problem.replaceChildren();
        this.tell('connecting', null);
        this.stream = new Stream(this.path, {
            onevent: (event) => this.add(event),
            onrecovery: (recovered) => recovered || this.add({
                notice: 'The connection was lost. Some events may be missing '
                        + 'here.' }),
            onstate: (state, error) => this.tell(state, error),
        });
    }

    toolbar() {
        this.pauser = button('Pause', () => this.pause(!this.paused));
        this.filter = h('input', { type: 'search', id: 'filter',
            autocomplete: 'off', spellcheck: 'false', oninput: () => {
                this.matches = matcher(this.filter.value);
                this.rebuild();
            } });

        const most = h('select', { id: 'most', onchange: () => {
            this.limit = Number(most.value);
            this.rebuild();
        } });

        options(most, [50, 200, 1000].map((n) => [String(n), count(n)]),
                String(this.limit));

        return h('div', { class: 'toolbar', hidden: this.deaf !== '' },
            h('div', { class: 'buttons' }, this.pauser,
              button('Clear', () => this.clear())),
            h('div', { class: 'field grow' },
              h('label', { for: 'filter' }, 'Only with this text'),
              this.filter),
            field('Lines', most),
            this.numbers = h('p', { class: 'numbers' }));
    }

    tell(state, error) {
        const texts = { connecting: 'Connecting…', live: 'Listening',
                        ended: 'Not listening' };

        this.state.dataset.state = state;
        write(this.state, error && state === 'connecting'
              ? `Connecting again… ${words(error).title}` : texts[state]);

        if (state === 'ended') {
            this.problem.replaceChildren(fault(error, () => this.connect()));
        }
    }

    add(entry) {
        this.matched += this.matches(this.log.add(entry)) ? 1 : 0;
    }

    clear() {
        this.log.clear();
        this.rebuild();
    }

    pause(paused) {
        this.freeze(paused);
        this.rebuild();
    }

    /* As it is: what was just opened must not move away, with gaps or not. */

    freeze(paused) {
        this.paused = paused;
        write(this.pauser, paused ? 'Resume' : 'Pause');
        this.pauser.classList.toggle('primary', paused);
    }

    row(entry) {
        if (entry.notice !== undefined) {
            return h('li', { class: 'gap notice' },
                     `${clockMs(entry.time)} ${entry.notice}`);
        }

        return new Row({
            heading: [
                h('time', null, clockMs(entry.time)), ' ',
                h('span', { class: 'what' }, entry.name), ' ',
            ],
            text: entry.data,
            more: entry.id && h('span', { class: 'faint' }, entry.id),
            onopen: () => this.freeze(true),
        }).element;
    }

    /* What came since the last time goes on top. */

    draw() {
        this.tellNumbers();

        if (this.paused || this.drawn.matched === this.matched) {
            return;
        }

        const fresh = this.log.newest(this.matches, LINES, this.drawn.key);
        const left = this.matched - this.drawn.matched - fresh.length;
        const made = fresh.map((entry) => {
            const row = this.row(entry);

            this.rows.set(entry.key, row);
            return row;
        });

        if (left > 0) {
            made.push(h('li', { class: 'gap' },
                        `${plural(left, 'event')} left out. Pause shows `
                        + `the last ${count(this.limit)} without gaps.`));
        }

        this.list.prepend(...made);
        this.mark();
        this.trim();
        this.tellEmpty();
    }

    /* Up to here the list has what there is. */

    mark() {
        this.drawn = { key: this.log.events.at(-1)?.key ?? 0,
                       matched: this.matched };
    }

    trim() {
        for (const [key, row] of this.rows) {
            if (this.rows.size <= this.limit) {
                break;
            }

            this.rows.delete(key);
            row.remove();
        }

        while (this.list.lastChild?.className === 'gap'
               && this.rows.size === this.limit)
        {
            this.list.lastChild.remove();
        }
    }

    /* All of the last events that match, without gaps. */

    rebuild() {
        const wanted = this.log.newest(this.matches, this.limit);
        const rows = new Map();

        for (const entry of wanted.toReversed()) {
            rows.set(entry.key, this.rows.get(entry.key) ?? this.row(entry));
        }

        this.rows = rows;
        this.list.replaceChildren(...[...rows.values()].toReversed());
        this.mark();
        this.tellNumbers();
        this.tellEmpty();
    }

    tellNumbers() {
        const { total, size } = this.log;
        const fresh = this.matched - this.drawn.matched;

        this.counts.push({ total, time: performance.now() });
        this.counts.splice(0, this.counts.length - RATE_OVER - 1);

        const [first] = this.counts;
        const seconds = (this.counts.at(-1).time - first.time) / 1000;
        const now = seconds > 0 ? Math.max(0, (total - first.total) / seconds)
                                : 0;

        write(this.numbers, [plural(total, 'event'), rate(now), bytes(size),
                             this.paused && `paused, ${count(fresh)} new`]
                            .filter(Boolean).join(' · '));
    }

    tellEmpty() {
        this.list.hidden = this.rows.size === 0;
        this.empty.hidden = this.rows.size > 0;
        write(this.empty, this.deaf
              || (this.log.events.length
                  ? 'None of the last events has this text in it.'
                  : 'No events yet. They show up here as they come.'));
    }
}
