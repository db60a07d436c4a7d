/*
 * What went wrong lately, one entry for each kind.
 */

import { facts, h, link } from './element.js';
import { fault } from './fault.js';
import { ago, count, moment } from './format.js';
import { KINDS, UNKNOWN } from './incident_kinds.js';


class Incidents {
    title = 'Incidents';
    cards = new Map();

    constructor({ news }) {
        this.news = news;
        this.element = h('div', null,
            h('h1', { tabindex: -1 }, 'Incidents'),
            h('p', { class: 'faint lead' }, 'Of each kind the last one, since ',
              'nginx was started.'),
            this.problem = h('div'),
            this.list = h('div', { class: 'incidents' }),
            this.empty = h('div', { class: 'empty', hidden: true },
                h('p', null, h('strong', null, 'Nothing went wrong.')),
                h('p', null, 'What was refused to single clients is on the ',
                  link('Overview', '#/'), '.')));
        this.update = this.update.bind(this);
        news.addEventListener('change', this.update);
        this.update();
        news.look();
    }

    close() {
        this.news.removeEventListener('change', this.update);
    }

    update() {
        const { incidents, error, ahead } = this.news;

        this.problem.replaceChildren(...error
            ? [fault(error, () => this.news.look())] : []);

        if (incidents) {
            this.news.seen();
            this.empty.hidden = incidents.length > 0 || error !== null;
            this.show(incidents, Date.now() + ahead);
        }
    }

    /* Only the times change from one look to the next, so cards stay. */

    show(incidents, now) {
        const cards = new Map();

        for (const incident of incidents) {
            const { kind, count: n, last, detail } = incident;
            const key = JSON.stringify([kind, n, last, detail]);
            const card = this.cards.get(key) ?? this.card(incident);
            const time = new Date(last);

            card.when.textContent = `${ago(now - time)}, ${moment(time)}`;
            cards.set(key, card);
        }

        if ([...cards.keys()].join() !== [...this.cards.keys()].join()) {
            this.list.replaceChildren(...[...cards.values()].map((card) => (
                card.element)));
        }

        this.cards = cards;
    }

    card({ kind, count: n, first, pid, detail }) {
        const known = KINDS[kind] ?? { ...UNKNOWN, title: kind };
        const when = h('span');
        const [, todo] = known.cases?.find(([says]) => says.test(detail))
                         ?? [null, known.todo];

        return { when, element: h('article', {
            class: `card incident ${known.bad ? 'bad' : ''}` },
            h('div', { class: 'heading' },
              h('h2', null, known.title),
              h('span', { class: 'tag' }, n === 1 ? 'once'
                                                  : `${count(n)} times`)),
            detail && h('p', { class: 'detail' }, h('code', null, detail)),
            facts([['Last', when],
                   ...n > 1 ? [['First', moment(new Date(first))]] : [],
                   ...pid ? [['Noted by', `worker ${pid}`]] : [],
                   ['Kind', h('code', null, kind)]],
                  { class: 'facts strip' }),
            h('div', { class: 'words' },
              h('div', null, h('h3', null, 'What it means'),
                h('p', null, known.means)),
              h('div', null, h('h3', null, 'What to do'),
                h('p', null, todo)))) };
    }
}


export function open(route, context) {
    return new Incidents(context);
}
