/*
 * What is stored of a channel.
 */

import { h } from './element.js';
import { moment } from './format.js';
import { channelAddress } from './names.js';
import { Paged } from './paged.js';
import { Row } from './row.js';
import { encode } from './server.js';


export class History extends Paged {
    oldest = { after: '0' };

    constructor({ app, name }, route) {
        super({ heading: 'Stored messages', what: 'Messages' });
        this.app = app;
        this.name = name;
        this.url = `apps/${encode(app)}/history/${encode(name)}`;
        this.update(route);
    }

    address(query) {
        return channelAddress(this.app, this.name, 'history', query);
    }

    none() {
        return [h('p', null, 'Nothing is stored here.'),
                h('p', null, 'The server has no ', h('code', null,
                  'chat_database'), ', or this app is not there.')];
    }

    nothing() {
        return [h('p', null, 'No message of this channel is stored.'),
                h('p', null, 'Those of ', h('code', null, 'chat_publish'),
                  ' are, and events of servers on the channels that ',
                  h('code', null, 'store'), ' names.')];
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
}
