/*
 * What the webhooks of an app have given up.
 */

import { h, link } from './element.js';
import { moment, plural } from './format.js';
import { address } from './names.js';
import { Paged } from './paged.js';
import { Row } from './row.js';
import { encode } from './server.js';


/* The name of an event, from its JSON. */

function nameOf(text) {
    try {
        return String(JSON.parse(text).name);

    } catch {
        return '';
    }
}


export class Dead extends Paged {
    title = 'Given up';

    constructor(route) {
        super({ heading: 'Events', what: 'Events' });
        [, this.app] = route.path;
        this.url = `apps/${encode(this.app)}/webhooks/dead`;
        this.element.prepend(
            h('p', { class: 'crumbs' }, link('Webhooks', '#/webhooks'),
              ' of app ', h('code', null, this.app)),
            h('h1', { tabindex: -1 }, 'Given up'),
            h('p', { class: 'faint lead' }, 'What could not be sent for as ',
              'long as ', h('code', null, 'retry'), ' says is kept for 7 ',
              'days, at most 10,000 events of a webhook. ',
              link('Webhooks', '#/webhooks'), ' has the button that sends ',
              'it again.'));
        super.update(route);
    }

    /* False: that is another app, or the list of webhooks. */

    update(route) {
        if (route.path[1] !== this.app) {
            return false;
        }

        super.update(route);
        return true;
    }

    address(query) {
        return address(['webhooks', this.app], query);
    }

    none() {
        return h('p', null, 'The server has no ', h('code', null,
                 'chat_database'), ', or this app is not there.');
    }

    nothing() {
        return [h('p', null, 'Nothing was given up.')];
    }

    row({ id, url, event, error, tries, created_at: created, dead_at: dead }) {
        const time = (text) => (
            h('time', { datetime: text }, moment(new Date(text))));

        return new Row({
            heading: [
                h('span', { class: 'id' }, `#${id}`), ' ', time(dead), ' ',
                h('span', { class: 'what' }, nameOf(event)), ' ',
                h('span', { class: 'bad' }, error), ' ',
            ],
            text: event,
            more: h('span', null, 'For ', h('code', null, url), ', of ',
                    time(created), `, given up after ${plural(tries, 'try',
                                                              'tries')}`),
        }).element;
    }
}
