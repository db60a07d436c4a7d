/*
 * The cluster as this node sees it: how this node does, what to do where it
 * does not, and which nodes there are.
 *
 * All but the last error is in `status`, where chat_cluster is configured.
 */

import { facts, h, link, write } from './element.js';
import { count, duration, plural } from './format.js';
import { KINDS } from './incident_kinds.js';
import { Table } from './table.js';

const LISTED = 32;                      // nodes; status has no more
const SLACK = 2000;                     // ms, between the two answers' clocks


const STATES = {
    in: 'in the cluster',
    out: 'out of the cluster',
    isolated: 'cut off: clients are sent away',
};

const MEANS = {
    out: 'What is posted here is refused, and so is history. Connections stay.',
    isolated: 'It was out of the cluster for longer than isolate: its clients '
              + 'are told to use the other nodes, and new ones are refused.',
};

const BACK = 'It comes back by itself once it reaches the cluster’s log.';

const LOOK = 'Look whether Redis answers, from this machine and with this '
             + 'configuration.';

const WORDS = 'Its words, or the system’s, are below.';
const LOG = 'The error log has its words, or the system’s.';

const KEEP = 'It is in the cluster again. A larger keep of chat_cluster lets '
             + 'nodes be away for longer.';
const GIVEN = 'The log did not go back far enough for it. Another node gives '
              + 'it the messages that it lacks; where none does, its error log '
              + 'says so.';


function state(cluster) {
    return cluster.isolated ? 'isolated' : cluster.joined ? 'in' : 'out';
}


function times(n) {
    return n === 1 ? 'once' : n ? `${count(n)} times` : 'never';
}


function bad(n) {
    return n ? h('strong', { class: 'bad' }, times(n)) : times(n);
}


/* What is to be done, one text for each thing that is wrong. */

function advice(cluster, error) {
    const is = state(cluster);
    const all = [];

    if (is !== 'in') {
        const [, todo] = KINDS.cluster_out.cases.find(([says]) => (
            says.test(error ?? ''))) ?? [];
        const trimmed = cluster.log_trimmed && !error && GIVEN;

        all.push([MEANS[is], todo || trimmed
                  || [LOOK, error ? WORDS : LOG, BACK].join(' ')]);

    } else if (cluster.log_trimmed) {
        all.push(['The log did not go back to where this node had been.',
                  KEEP]);
    }

    if (cluster.log_lost) {
        all.push(['Redis has lost the end of the log.',
                  KINDS.cluster_lost.todo]);
    }

    return all;
}


function about(cluster, error) {
    const { joined, applied, behind, away_milliseconds: away } = cluster;
    const at = applied ? `event ${applied}` : 'no event yet';
    const place = joined ? `${at}, ${count(behind)} behind` : at;

    return [
        !joined && ['Out for', duration(away / 1000)],
        error && ['Last error', h('code', { class: 'bad' }, error)],
        ['Term of the log', joined ? String(cluster.term)
                                   : 'none while it is out'],
        ['Place in the log', place],
        ['End of the log lost', bad(cluster.log_lost)],
        ['Log did not reach back', bad(cluster.log_trimmed)],
    ].filter(Boolean);
}


/*
 * Names need not differ.  Of two nodes with the name of this one nobody can
 * say which is which; one of them may be this one before it was killed.
 */

function rows({ node: own, joined, nodes }) {
    const seen = new Map();
    const alike = nodes.filter(({ node }) => node === own).length;
    const mark = alike > 1 ? 'this node, or one of its name' : 'this node';

    return nodes.toSorted((a, b) => (
        a.node.localeCompare(b.node, 'en', { numeric: true })
    )).map(({ node, lease_milliseconds: lease }) => {
        const nth = seen.get(node) ?? 0;

        seen.set(node, nth + 1);

        return { node, nth, lease, joined, mark: node === own ? mark : null };
    });
}


function lease({ lease: left, joined }) {
    if (left > 0) {
        return `${duration(Math.ceil(left / 1000))} left`;
    }

    return joined ? 'over: it is being taken out' : 'over, or not heard of';
}


function table() {
    return new Table({
        label: 'Nodes',
        key: ({ node, nth, mark }) => JSON.stringify([node, nth, mark]),
        columns: [
            { title: 'Name', class: 'name', make: ({ node, mark }) => [
                h('code', null, node), ' ',
                mark && h('span', { class: 'tag' }, mark)] },
            { title: 'Lease', text: lease },
        ],
    });
}


function alone() {
    return [
        h('p', null, h('strong', null, 'This server is alone.')),
        h('p', null, 'Several nginx act as one over a Redis or Valkey: one ',
          'order of events, one history, one presence.'),
        h('p', null, 'Put ', h('code', null, 'chat_cluster'), ' beside ',
          h('code', null, 'chat_database'), ', and restart nginx. How further ',
          'nodes begin is in ', h('code', null, 'conf/cluster.md'), '.'),
        h('pre', null, 'chat_cluster  redis://10.0.0.5:6379;'),
    ];
}


class Nodes {
    title = 'Nodes';
    state = null;

    constructor({ watch, news }) {
        this.watch = watch;
        this.news = news;
        this.table = table();
        this.element = h('div', null,
            h('h1', { tabindex: -1 }, 'Nodes'),
            this.waiting = h('p', { class: 'empty' },
                             'Waiting for the first numbers…'),
            this.shown = h('div', { hidden: true },
                h('p', { class: 'faint lead' }, 'The cluster, as this node ',
                  'sees it. What went wrong, and when, is at ',
                  link('Incidents', '#/incidents'), '.'),
                h('div', { class: 'nodes' }, this.self(), this.others())),
            this.empty = h('div', { class: 'empty', hidden: true }, alone()));
        this.update = this.update.bind(this);
        watch.addEventListener('change', this.update);
        news.addEventListener('change', this.update);
        this.update();
    }

    close() {
        this.watch.removeEventListener('change', this.update);
        this.news.removeEventListener('change', this.update);
    }

    /* The tag is the only part that is read aloud when it changes. */

    self() {
        return this.card = h('section', { class: 'card node' },
            h('div', { class: 'heading' },
              h('h2', null, 'This node ', this.name = h('code')),
              h('p', { role: 'status' }, this.tag = h('span'))),
            this.todo = h('div'),
            this.facts = facts([]));
    }

    others() {
        return h('section', { class: 'card node' },
            h('h2', null, 'All nodes'),
            this.table.element,
            this.note = h('p', { class: 'note' }));
    }

    update() {
        const { status } = this.watch;

        if (!status) {
            return;
        }

        const { cluster } = status;

        this.waiting.hidden = true;
        this.shown.hidden = !cluster;
        this.empty.hidden = Boolean(cluster);

        if (cluster) {
            this.tellSelf(cluster);
            this.tellOthers(cluster);
        }
    }

    tellSelf(cluster) {
        const is = state(cluster);
        const error = cluster.joined ? null : this.error(cluster);

        /* the error that it is out by is news, too */

        if (this.state !== is) {
            this.state = is;
            this.news.look();
        }

        this.card.classList.toggle('bad', is !== 'in');
        this.tag.className = `tag ${is === 'in' ? '' : 'bad'}`;
        write(this.name, cluster.node);
        write(this.tag, STATES[is]);

        this.replace('facts', facts(about(cluster, error)));
        this.replace('todo', h('div', null, advice(cluster, error).map(
            ([means, todo]) => h('div', { class: 'todo' },
                h('p', null, means),
                h('p', null, h('strong', null, 'What to do: '), todo)))));
    }

    /* Why it is out, unless that was another time. */

    error({ away_milliseconds: away }) {
        const { incidents, ahead } = this.news;
        const noted = incidents?.find(({ kind }) => kind === 'cluster_out');
        const since = Date.now() + ahead - away - SLACK;

        return noted && Date.parse(noted.last) >= since ? noted.detail : null;
    }

    tellOthers(cluster) {
        const { length } = cluster.nodes;

        this.table.element.hidden = length === 0;
        this.table.update(rows(cluster));

        write(this.note, [
            length === 0 && 'It has heard of none yet.',
            length === LISTED && `${plural(LISTED, 'node')} are listed; there `
                                 + 'may be more.',
            length > 0 && !cluster.joined && 'As this node has heard last: '
                + 'while it is out, it does not know how the others do.',
            length === 1 && cluster.joined && 'No other node is in it.',
        ].filter(Boolean).join(' '));
    }

    /* Where it says something else, so that what is selected stays so. */

    replace(name, element) {
        if (this[name].outerHTML !== element.outerHTML) {
            this[name].replaceWith(element);
            this[name] = element;
        }
    }
}


export function open(route, context) {
    return new Nodes(context);
}
