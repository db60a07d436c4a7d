/*
 * A message as it is shown: its text with links, its author, its place in a
 * group of messages that belong together, and in a day.
 *
 * Others wrote it: all of it becomes text, never HTML.
 */

import { me } from './ask.js';

const PAUSE = 5 * 60000;                // ms, after which a new group begins

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const weekday = new Intl.DateTimeFormat(undefined,
    { weekday: 'long', day: 'numeric', month: 'long' });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });

export function make(tag, name, text = '') {
    const made = document.createElement(tag);

    made.className = name;
    made.textContent = text;

    return made;
}

/* A round sign with the first letter; the colour goes by the name. */

export function avatar(name) {
    const made = make('span', 'avatar', [...name][0]?.toUpperCase() ?? '?');
    const sum = [...name].reduce((n, c) => (n * 31 + c.codePointAt()) % 997, 7);

    made.style.setProperty('--hue', sum * 137 % 360);
    made.ariaHidden = 'true';

    return made;
}

/* Only what URL takes for http or https becomes a link. */

function linked(content) {
    const parts = content.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,:;!?)\]}*])/i);

    return parts.map((part, i) => {
        if (i % 2 === 0 || !URL.canParse(part)) {
            return part;
        }

        const link = make('a', '', part);

        link.href = part;
        link.target = '_blank';
        link.rel = 'noopener noreferrer nofollow';

        return link;
    });
}

export function bubble(content) {
    const item = make('li', 'message');
    const inner = make('div', 'bubble');
    const text = make('p', 'text');

    text.dir = 'auto';
    text.append(...linked(content));
    inner.append(text);
    item.append(inner);

    return item;
}

export function render(message) {
    const item = bubble(message.content);
    const name = message.author ?? 'No name';
    const created = new Date(message.created_at);
    const time = make('time', '', clock.format(created));
    const author = make('p', 'author', name);

    author.dir = 'auto';
    time.dateTime = message.created_at;
    time.title = created.toLocaleString();
    item.prepend(avatar(message.author ?? ''), author);
    item.querySelector('.bubble').append(time);

    item.dataset.id = message.id;
    item.message = message;

    return item;
}

function dayOf(date) {
    const ago = (days) => {
        const day = new Date();

        day.setDate(day.getDate() - days);

        return day.toDateString();
    };

    return date.toDateString() === ago(0) ? 'Today'
         : date.toDateString() === ago(1) ? 'Yesterday'
         : date.getFullYear() === new Date().getFullYear()
           ? weekday.format(date) : calendar.format(date);
}

/* What depends on the message before: called when it or that one is new. */

export function arrange(item) {
    const before = item.previousElementSibling?.message;
    const created = new Date(item.message.created_at);
    const last = before && new Date(before.created_at);
    const sameDay = last?.toDateString() === created.toDateString();
    const follows = sameDay && before.author === item.message.author
                    && Math.abs(created - last) < PAUSE;

    item.classList.toggle('own', me.name !== ''
                                 && item.message.author === me.name);
    item.classList.toggle('follows', follows);
    item.previousElementSibling?.classList.toggle('followed', follows);
    item.querySelector('.day')?.remove();

    if (!sameDay) {
        item.prepend(make('p', 'day', dayOf(created)));
    }
}
