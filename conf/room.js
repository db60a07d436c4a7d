/*
 * A room: its history by fetch(), what is new by pusher-js.
 *
 * How it misses nothing: it subscribes, waits for subscription_succeeded,
 * then reads the history after the last id up to which it has everything,
 * and drops ids that it has already.  The same after a reconnect, unless the
 * server knows the token behind the key and sends what was missed by itself.
 */

import { me, request, subscribe } from './ask.js';
import { arrange, render } from './message.js';
import { People } from './people.js';

const NEAR = 60;                        // px from the end count as the end
const KEPT = 500;                       // messages, of whoever is at the end

async function readPage(address) {
    const response = await request(address);
    const links = response.headers.get('Link') ?? '';
    const link = (rel) => links.match(`<([^>]*)>; *rel="${rel}"`)?.[1] ?? null;

    return {
        messages: await response.json(),
        epoch: response.headers.get('Chat-Epoch'),
        prev: link('prev'),
        next: link('next'),
    };
}

export class Room {
    items = new Map();                  // by message id, what is on the page
    epoch = null;                       // the database that the ids are of
    complete = null;                    // all up to this id is here
    newest = 0;                         // last id that came live
    earlier = null;                     // address of the page before
    automatic = true;                   // scrolling up reads earlier ones
    reaching = false;                   // is reading them now
    stuck = true;                       // scrolled to the end
    unread = 0;
    fault = '';                         // why its history can't be read
    draft = '';
    channel = null;                     // pusher-js's
    refused = false;
    recovered = null;                   // as it was said last
    entered = false;

    /*
     * The link says which room it is; changed() is called when something in
     * it has, who() when the people have.
     */

    constructor(link, changed, who) {
        this.link = link;
        this.changed = changed;
        this.people = new People(who);
        this.name = link.firstChild.data.trim();
        this.private = link.dataset.channel.startsWith('private-');
        this.section = document.getElementById('room')
                               .content.firstElementChild.cloneNode(true);
        this.section.ariaLabel = `Messages of ${this.name}`;

        for (const name of ['log', 'list', 'empty', 'closed', 'more']) {
            this[name] = this.section.querySelector(`.${name}`);
        }

        this.section.addEventListener('scroll', () => this.scrolled());
        this.more.addEventListener('click', () => this.readEarlier());
        new ResizeObserver(() => this.settle()).observe(this.section);
        new IntersectionObserver(([seen]) => {
            if (seen.isIntersecting && this.automatic) {
                this.readEarlier();
            }
        }, { root: this.section }).observe(this.more);
    }


    /* showing */

    show(message, isNew) {
        // what a server has triggered is no message, and may be in history
        if (this.items.has(message.id) || message.content === undefined) {
            return;
        }

        const item = render(message);
        let before = this.list.lastElementChild;

        /* what is still to be sent has no id and stays behind all others */

        while (before && !(before.dataset.id <= message.id)) {
            before = before.previousElementSibling;
        }

        before ? before.after(item) : this.list.prepend(item);
        this.items.set(message.id, item);
        arrange(item);

        if (item.nextElementSibling?.message) {
            arrange(item.nextElementSibling);
        }

        if (isNew && !item.classList.contains('own')) {
            this.unread++;
        }
    }

    /*
     * The oldest leave the page, but not below somebody who reads them; they
     * are a page of the history again.
     */

    get full() {
        return this.stuck && !this.reaching && this.items.size > KEPT;
    }

    trim() {
        if (!this.full) {
            return;
        }

        while (this.items.size > KEPT) {
            const item = this.list.firstElementChild;

            this.items.delete(item.message.id);
            item.remove();
        }

        const first = this.list.firstElementChild;

        arrange(first);
        this.earlier = `${this.link.dataset.messages}?limit=50`
                       + `&before=${first.dataset.id}`;
    }

    /* another day has begun, or one has another name */

    arrange() {
        this.items.forEach(arrange);
    }

    settle() {
        this.trim();
        this.empty.hidden = this.complete === null
                            || this.list.childElementCount > 0;
        this.closed.hidden = this.entered && !this.refused;
        this.closed.textContent = me.name
            ? 'This room is private, and you are not let in.'
            : 'This room is private. Give a name to be let in.';
        this.more.hidden = this.earlier === null;

        if (this.stuck) {
            this.section.scrollTop = this.section.scrollHeight;
        }

        this.changed();
    }

    scrolled() {
        const { scrollHeight, scrollTop, clientHeight } = this.section;

        this.stuck = scrollHeight - scrollTop - clientHeight < NEAR;
        this.full ? this.settle() : this.changed();
    }

    toEnd() {
        this.stuck = true;
        this.settle();
    }


    /* the history */

    async catchUp() {
        const { messages } = this.link.dataset;
        const first = `${messages}?limit=50`;
        let address = this.complete === null
                      ? first : `${messages}?limit=500&after=${this.complete}`;

        while (address) {
            const page = await readPage(address);

            if (this.complete !== null && page.epoch !== this.epoch) {
                /* another database: its ids begin anew */
                this.complete = null;
                this.unread = 0;
                this.items.forEach((item) => item.remove());
                this.items.clear();
                address = first;
                continue;
            }

            const isNew = this.complete !== null;

            this.epoch = page.epoch;

            if (this.complete === null) {
                this.complete = 0;
                this.earlier = page.prev;
            }

            page.messages.forEach((message) => this.show(message, isNew));
            this.complete = Math.max(this.complete,
                                     page.messages.at(-1)?.id ?? 0);
            address = page.next;
            this.settle();
        }
    }

    asked = 0;
    reading = false;
    hurry = () => {};                   // reads again at once

    async sync() {
        this.asked++;

        if (this.reading) {
            return;
        }

        this.reading = true;
        this.log.ariaBusy = 'true';

        for (let done = 0, delay = 1000; done !== this.asked; /* void */) {
            const now = this.asked;

            try {
                await this.catchUp();
                done = now;
                this.fault = '';

            } catch (error) {
                if (error.status === 403) {
                    this.refused = true;
                    done = this.asked;
                    continue;
                }

                this.fault = error.message;
                this.changed();
                await new Promise((resolve) => {
                    this.hurry = resolve;
                    setTimeout(resolve, delay);
                });
                delay = Math.min(delay * 2, 30000);
            }
        }

        if (this.complete !== null) {
            this.complete = Math.max(this.complete, this.newest);
        }

        this.log.ariaBusy = 'false';
        this.reading = false;
        this.settle();
    }

    async readEarlier() {
        const address = this.earlier;

        if (address === null) {
            return;
        }

        this.earlier = null;            // one request at a time
        this.reaching = true;
        this.log.ariaBusy = 'true';
        this.settle();

        try {
            const page = await readPage(address);
            const { section } = this;
            const fromEnd = section.scrollHeight - section.scrollTop;

            page.messages.reverse().forEach((message) => this.show(message));
            this.earlier = page.prev;
            this.reaching = false;
            this.automatic = true;
            this.fault = '';
            this.settle();
            section.scrollTop = section.scrollHeight - fromEnd;

        } catch (error) {
            this.earlier = address;
            this.reaching = false;
            this.automatic = false;     // or it would ask without end
            this.fault = error.message;
            this.settle();
        }

        this.log.ariaBusy = 'false';
    }


    /* Not needed while it is read again and again anyway. */

    retry() {
        this.reading ? this.hurry() : this.fault && this.readEarlier();
    }


    /* what is new */

    enter(pusher, event) {
        if (this.entered) {
            return;
        }

        this.entered = true;
        this.sync();
        pusher && this.listen(pusher, event);
    }

    listen(pusher, event) {
        const refused = () => {
            this.refused = true;
            this.settle();
        };

        let first = true;

        this.channel = subscribe(pusher, this.link.dataset.channel, refused)
            .bind('pusher:subscription_succeeded', (data) => {
                this.recovered = data?.recovered === true;

                /* what is recovered may begin behind the history's end */

                if (first || !this.recovered) {
                    first = false;
                    this.newest = 0;
                    this.sync();
                }

                this.changed();
            })
            .bind(event, (message) => {
                // a server may trigger the event with data of its own
                if (!Number.isInteger(message?.id)) {
                    return;
                }

                this.newest = message.id;
                this.people.rests(message.author);
                this.show(message, true);
                this.settle();

                if (!this.reading) {
                    this.complete = this.newest;
                }
            });
    }
}
