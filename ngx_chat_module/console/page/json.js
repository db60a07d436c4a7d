/*
 * JSON as a tree that opens and closes.
 *
 * JSON.parse() decides what is JSON, but a number is shown as it was written:
 * ids of other systems have more digits than JavaScript's numbers.  What is
 * closed is not made before it is opened.
 */

import { button, h } from './element.js';
import { count, plural } from './format.js';

const STEP = 100;                       // members that are made at a time
const SMALL = 40;                       // a tree of so many values is all open
const SPACE = /[\t\n\r ]*/y;
const TOKEN = /"(?:[^"\\]|\\.)*"|[^\s,\]}]+/y;


/* Of text that JSON.parse() has accepted, so it has no errors. */

class Reader {
    i = 0;
    size = 0;

    constructor(text) {
        this.text = text;
    }

    space() {
        SPACE.lastIndex = this.i;
        this.i += SPACE.exec(this.text)[0].length;
    }

    token() {
        TOKEN.lastIndex = this.i;

        const [raw] = TOKEN.exec(this.text);

        this.i += raw.length;
        return raw;
    }

    value() {
        this.size++;
        this.space();

        switch (this.text[this.i]) {
        case '{':
            return this.members('}', true);
        case '[':
            return this.members(']', false);
        default:
            return { raw: this.token() };
        }
    }

    members(end, named) {
        const list = [];

        this.i++;
        this.space();

        while (this.text[this.i] !== end) {
            let key = String(list.length);

            if (named) {
                key = JSON.parse(this.token());
                this.space();
                this.i++;               // the colon
            }

            list.push([key, this.value()]);
            this.space();

            if (this.text[this.i] === ',') {
                this.i++;
                this.space();
            }
        }

        this.i++;
        return { list, named };
    }
}


/* The value, or null: that is no JSON, or nested too deeply to be shown. */

export function read(text) {
    try {
        JSON.parse(text);

        const reader = new Reader(text);

        return { root: reader.value(), size: reader.size };

    } catch {
        return null;
    }
}


/*
 * JSON.parse(), but numbers are what JSON.stringify() writes as they came;
 * where a browser can't do that yet, those with many digits are rounded.
 */

export function exact(text) {
    return JSON.rawJSON
           ? JSON.parse(text, (key, value, { source }) => (
               typeof value === 'number' ? JSON.rawJSON(source) : value))
           : JSON.parse(text);
}


function write(node, indent) {
    const inner = `${indent}  `;

    if (node.raw !== undefined) {
        return node.raw;
    }

    const [begin, end] = node.named ? '{}' : '[]';
    const lines = node.list.map(([key, value]) => (
        inner + (node.named ? `${JSON.stringify(key)}: ` : '')
        + write(value, inner)));

    return lines.length ? `${begin}\n${lines.join(',\n')}\n${indent}${end}`
                        : begin + end;
}


export function indented({ root }) {
    return write(root, '');
}


function leaf(raw) {
    const type = raw[0] === '"' ? 'string' : /[tfn]/.test(raw) ? 'word'
                                                               : 'number';

    return h('span', { class: type }, type === 'string'
             ? JSON.stringify(JSON.parse(raw)) : raw);
}


function brief({ list, named }) {
    const size = named ? plural(list.length, 'member')
                       : plural(list.length, 'entry', 'entries');

    return h('span', { class: 'faint' }, named ? `{ ${size} }`
                                               : `[ ${size} ]`);
}


function lines(list, from, open) {
    const made = list.slice(from, from + STEP).map(([key, value]) => (
        h('li', null, entry(key, value, open))));
    const next = from + STEP;

    if (next < list.length) {
        const more = h('li', null, button(
            `Show more of ${count(list.length - next)}`, () => (
                more.replaceWith(...lines(list, next, open)))));

        made.push(more);
    }

    return made;
}


function entry(key, value, open) {
    const name = key === null ? null
                              : [h('span', { class: 'key' }, key), ': '];

    if (value.raw !== undefined) {
        return h('span', null, name, leaf(value.raw));
    }

    if (value.list.length === 0) {
        return h('span', null, name, value.named ? '{}' : '[]');
    }

    const inside = h('ul');
    const details = h('details', { open, ontoggle: () => {
        if (details.open && !inside.hasChildNodes()) {
            inside.append(...lines(value.list, 0, open));
        }
    } }, h('summary', null, name, brief(value)), inside);

    if (open) {
        inside.append(...lines(value.list, 0, open));
    }

    return details;
}


export function tree({ root, size }) {
    const made = entry(null, root, size <= SMALL);

    if (made.localName === 'details' && !made.open) {
        made.open = true;
    }

    return h('div', { class: 'json' }, made);
}
