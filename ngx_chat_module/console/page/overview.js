/*
 * The first page: what the server does now and has done in the last minutes.
 *
 * Any of the charts can be asked about an earlier moment, by the pointer or,
 * for the keyboard, by the slider over them; all of them show that moment.
 */

import { Chart } from './chart.js';
import { button, facts, h, write } from './element.js';
import { ago, byteRate, bytes, clock, count, duration, micros, percent, rate }
    from './format.js';
import { GROUPS, rows } from './reasons.js';
import { SPAN } from './samples.js';
import { Table } from './table.js';

const STEP = 2000;                      // ms, of the slider
const MINUTE = 60000;


const CHARTS = [
    { title: 'Connections', format: count, least: 10,
      lines: [{ name: 'connections' },
              { name: 'websocket', label: 'WebSocket' },
              { name: 'fallback', label: 'fallback' },
              { name: 'streams', label: 'streams' }] },
    { title: 'Events', format: rate, least: 1,
      lines: [{ name: 'events' },
              { name: 'clientEvents', label: 'of clients' }] },
    { title: 'Deliveries', format: rate, least: 1,
      lines: [{ name: 'deliveries' }],
      note: () => 'each event, times its subscribers' },
    { title: 'Messages stored', format: rate, least: 1, stored: true,
      lines: [{ name: 'stored' },
              { name: 'unavailable', label: 'answered 503' }] },
    { title: 'Commit time', format: micros, least: 1000, stored: true,
      lines: [{ name: 'commit', label: 'mean' },
              { name: 'commitSlow', label: 'for 99 of 100',
                over: 'commitOver' }] },
    { title: 'Longest turn of an event loop', format: micros, least: 10000,
      lines: [{ name: 'turn' },
              { name: 'delay', label: 'woken late' }] },
    { title: 'Shared memory', format: bytes,
      lines: [{ name: 'zone' }],
      ceil: (status) => status.zone_size_bytes,
      note: (s) => `of ${bytes(s.zone_size_bytes)}, `
                   + percent(s.zone_used_bytes, s.zone_size_bytes) },
    { title: 'Traffic', format: byteRate, least: 1024,
      lines: [{ name: 'sent', label: 'sent' },
              { name: 'received', label: 'received' }] },
];


const MINUTES = [
    ['Connections', 'connections', (n) => count(n && Math.round(n))],
    ['Events', 'events', rate],
    ['Deliveries', 'deliveries', rate],
    ['Stored', 'stored', rate],
    ['Commit time', 'commit', micros],
    ['Longest turn', 'turn', micros],
    ['Shared memory', 'zone', bytes],
];


function workers() {
    const number = (title, text) => ({ title, text, class: 'number' });

    return new Table({
        label: 'Workers',
        key: (row) => row.pid,
        columns: [
            { title: 'Process', text: (row) => String(row.pid) },
            number('Connections', (row) => count(row.connections)),
            number('Subscriptions', (row) => count(row.subscriptions)),
            number('To store', (row) => count(row.store_queued)),
            number('Ring unread', (row) => bytes(row.bus_lag_bytes)),
            number('Longest turn', (row) => (
                micros(row.stall_recent_max_microseconds))),
            number('Longest ever', (row) => micros(row.stall_max_microseconds)),
            number('Woken late', (row) => (
                micros(row.wakeup_delay_recent_max_microseconds))),
            number('Overruns', (row) => count(row.overruns)),
        ],
    });
}


function reasonsTable(title) {
    return new Table({
        label: title,
        key: (row) => row.key,
        columns: [
            { title: 'Reason', class: 'reason', make: (row) => [
                h('code', null, row.reason), ' ',
                h('span', { class: 'faint' }, row.text)] },
            { title: '≤ 10 min', class: 'number',
              text: (row) => count(row.recent) },
            { title: 'In all', class: 'number',
              text: (row) => count(row.total) },
        ],
    });
}


class Overview {
    title = 'Overview';
    moment = null;                      // that the slider is at, or null: now
    pointed = null;                     // that the pointer is at

    constructor({ watch }) {
        this.watch = watch;
        this.tables = [];
        this.charts = CHARTS.map((chart) => new Chart(chart));
        this.element = h('div', { class: 'overview' },
            h('h1', { tabindex: -1 }, 'Overview'),
            this.waiting = h('p', { class: 'empty' },
                             'Waiting for the first numbers…'),
            this.shown = h('div', { hidden: true },
                this.strip = facts([]), this.slider(),
                h('div', { class: 'charts' },
                  this.charts.map((chart) => this.pointing(chart))),
                this.marks = h('ul', { class: 'happened' }),
                this.minutes(), this.perWorker(), this.reasons(),
                this.sizes()));
        this.update = this.update.bind(this);
        this.watch.addEventListener('change', this.update);
        this.update();
    }

    close() {
        this.watch.removeEventListener('change', this.update);
    }

    slider() {
        const reset = () => {
            this.moment = null;
            this.draw();
            this.range.focus();
        };

        this.range = h('input', { type: 'range', id: 'moment', min: -SPAN,
            max: 0, step: STEP, value: 0, oninput: () => {
                const back = Number(this.range.value);

                this.moment = back ? Date.now() + back : null;
                this.draw();
            } });

        return h('div', { class: 'moment' },
            h('label', { for: 'moment' }, 'Last ten minutes'), this.range,
            this.when = h('output', { for: 'moment' }, 'now'),
            this.now = button('Back to now', reset, { hidden: true }));
    }

    pointing(chart) {
        const point = (event) => {
            this.pointed = Date.now() - SPAN * (1 - chart.moment(event));
            this.draw();
        };

        chart.drawing.addEventListener('pointermove', point);
        chart.drawing.addEventListener('pointerdown', point);
        chart.drawing.addEventListener('pointerleave', () => {
            this.pointed = null;
            this.draw();
        });

        return chart.element;
    }

    minutes() {
        this.byMinute = new Table({
            label: 'The last ten minutes',
            key: (row) => row.from,
            columns: [
                { title: 'Minute', text: (row) => (
                    clock(new Date(row.from)).slice(0, 5)) },
                ...MINUTES.map(([title, name, format]) => ({
                    title, class: 'number', text: (row) => format(
                        this.watch.samples.mean(name, row.from,
                                                row.from + MINUTE)) })),
            ],
        });
        this.open = h('details', { class: 'plain', ontoggle: this.draw },
            h('summary', null, 'The same as a table, minute by minute'),
            this.byMinute.element);

        return this.open;
    }

    perWorker() {
        this.workers = workers();

        return h('section', null, h('h2', null, 'Workers'),
            h('p', { class: 'faint' }, 'Longest turn and woken late are of ',
              'the last minute or two.'),
            this.workers.element);
    }

    reasons() {
        this.all = h('input', { type: 'checkbox', id: 'all',
                                onchange: () => this.tell() });
        this.groups = GROUPS.map((group) => {
            const table = reasonsTable(group.title);

            return { group, table, element: h('section', { class: 'card' },
                h('h3', null, group.title), table.element) };
        });

        return h('section', null,
            h('div', { class: 'heading' },
              h('h2', null, 'Refused, closed, brought back'),
              h('p', { class: 'check' }, this.all,
                h('label', { for: 'all' }, 'Also what has not happened'))),
            this.none = h('p', { class: 'faint', hidden: true },
                'Nothing was refused, and nobody was sent away.'),
            h('div', { class: 'groups' },
              this.groups.map(({ element }) => element)));
    }

    sizes() {
        return h('div', { class: 'groups' },
            h('section', { class: 'card' },
              h('h2', null, 'Database'), this.store = h('div')),
            h('section', { class: 'card' },
              h('h2', null, 'Shared memory'), this.memory = h('div')));
    }

    update() {
        const { status } = this.watch;

        if (status) {
            this.waiting.hidden = true;
            this.shown.hidden = false;
            this.tell();
        }

        this.draw();
    }

    /* The charts, and what goes with their moment. */

    draw = () => {
        const { status, samples } = this.watch;
        const now = Date.now();
        const moment = this.pointed ?? this.moment;

        if (!status) {
            return;
        }

        if (this.moment !== null && now - this.moment > SPAN) {
            this.moment = now - SPAN;
        }

        const index = moment === null ? null : samples.at(moment);
        const shown = index === null ? null : samples.times[index];

        this.charts.forEach((chart, i) => {
            chart.element.hidden = CHARTS[i].stored && !status.store;
            chart.draw(samples, status, now, index);
        });

        this.range.value = this.moment === null ? 0 : this.moment - now;
        this.now.hidden = this.moment === null;

        const text = shown === null ? 'now'
            : `${clock(new Date(shown))}, ${ago(now - shown)}`;

        write(this.when, text);
        this.range.setAttribute('aria-valuetext', text);

        if (this.open.open) {
            this.drawMinutes(now);
        }
    };

    drawMinutes(now) {
        const last = Math.floor(now / MINUTE) * MINUTE;

        this.byMinute.update(Array.from({ length: 10 }, (_, i) => (
            { from: last - i * MINUTE })));
    }

    tell() {
        const { status, samples } = this.watch;

        this.tellStrip(status);
        this.workers.update(status.per_worker);
        this.tellReasons(status, samples);
        this.tellStore(status);
        this.tellMemory(status);

        this.marks.replaceChildren(...samples.marks.toReversed().map((m) => (
            h('li', null, h('time', null, clock(new Date(m.time))), ' ',
              m.text))));
    }

    tellStrip(status) {
        const grace = status.members_in_grace
            ? `, ${count(status.members_in_grace)} of them cut off` : '';

        this.replace('strip', facts([
            ['Channels', count(status.channels)],
            ['Subscriptions', count(status.subscriptions)],
            ['Presence members', `${count(status.members)}${grace}`],
            ['Workers', count(status.workers)],
            ['Up for', duration(status.uptime_seconds)],
            ['Version', `${status.version}, nginx ${status.nginx}`],
        ], { class: 'facts strip' }));
    }

    tellReasons(status, samples) {
        let any = false;

        for (const { group, table, element } of this.groups) {
            const shown = rows(group, status, samples).filter((row) => (
                this.all.checked || row.total > 0));

            element.hidden = shown.length === 0;
            any ||= shown.length > 0;
            table.update(shown);
        }

        this.none.hidden = any;
    }

    tellStore({ store }) {
        if (!store) {
            this.replace('store', h('p', { class: 'faint' }, 'There is no ',
                h('code', null, 'chat_database'), ': events are sent, and ',
                'nothing is stored.'));
            return;
        }

        this.replace('store', facts([
            ['Database', bytes(store.database_bytes)],
            ['WAL', bytes(store.wal_bytes)],
            ['Commits', count(store.commits)],
            ['Messages waiting', count(store.queued)],
            ['Pages read', count(store.reads)],
            ['Pages waiting', count(store.reads_queued)],
            ['Batches locked out', count(store.batches_busy)],
            ['Batches failed', count(store.batches_failed)],
        ]));
    }

    tellMemory({ memory }) {
        const names = { ring: 'Ring of events', arena: 'Channels and members',
                        cached_events: 'Cached events',
                        answers: 'Answers to keys' };

        this.replace('memory', facts(Object.entries(memory).map(
            ([part, { used_bytes: used, free_bytes: free }]) => (
                [names[part] ?? part, `${bytes(used)} of `
                 + bytes(used + free)]))));
    }

    /*
     * Puts these in the place of those that were there, unless they say the
     * same, so that what is selected stays selected.
     */

    replace(name, element) {
        if (this[name].outerHTML !== element.outerHTML) {
            this[name].replaceWith(element);
            this[name] = element;
        }
    }
}


export function open(route, context) {
    return new Overview(context);
}
