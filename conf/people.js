/*
 * Who is in a room, by its presence channel, and who is typing, by client
 * events: these go from page to page, and the server says whose they are.
 */

import { subscribe } from './ask.js';
import { avatar, make } from './message.js';

const TELL = 3000;                      // ms from one client-typing to the next
const BELIEVE = 5000;                   // ms that one is good for

export class People {
    channel = null;                     // pusher-js's
    typing = new Map();                 // ids of those who type, and a timer
    told = 0;

    constructor(changed) {
        this.changed = changed;
    }

    enter(pusher, name) {
        this.channel ??= subscribe(pusher, name)
            .bind('pusher:subscription_succeeded', this.changed)
            .bind('pusher:member_added', this.changed)
            .bind('pusher:member_removed', ({ id }) => this.rests(id))
            .bind('client-typing', (data, { user_id: id }) => {
                if (id !== this.channel.members.myID) {
                    clearTimeout(this.typing.get(id));
                    this.typing.set(id, setTimeout(() => this.rests(id),
                                                   BELIEVE));
                    this.changed();
                }
            });
    }

    rests(id) {
        clearTimeout(this.typing.get(id));
        this.typing.delete(id);
        this.changed();
    }

    /* I type, or have sent what I typed. */

    typed() {
        if (this.channel?.subscribed && Date.now() - this.told > TELL) {
            this.told = Date.now();
            this.channel.trigger('client-typing', {});
        }
    }

    sent() {
        this.told = 0;
    }

    get names() {
        const names = [];

        this.channel?.members.each(({ info }) => names.push(info.name));

        return names.sort((a, b) => a.localeCompare(b));
    }

    get typists() {
        const [one, two, ...more] = [...this.typing.keys()].map((id) => (
            this.channel.members.get(id)?.info.name ?? id));

        return more.length ? 'Several people are typing…'
             : two ? `${one} and ${two} are typing…`
             : one ? `${one} is typing…` : '';
    }

    draw(list) {
        const mine = this.channel?.members.me?.info.name;

        list.replaceChildren(...this.names.map((name) => {
            const item = make('li', '');
            const shown = make('span', 'name', name);

            shown.dir = 'auto';
            item.append(avatar(name), shown);

            if (name === mine) {
                item.append(make('span', 'you', 'you'));
            }

            return item;
        }));
    }
}
