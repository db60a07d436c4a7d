/*
 * A small chart: one to three lines over the last ten minutes.
 *
 * The drawing is for the eye only.  What it shows is said by the numbers over
 * it, by its description, and by the table below all of the charts.
 */

import { h, svg } from './element.js';
import { SPAN } from './samples.js';

const WIDTH = SPAN / 1000;              // one unit is a second
const HEIGHT = 100;


/* The next of 1, 2, 2.5, 5 times a power of ten: a scale that stays put. */

export function ceiling(value) {
    if (!(value > 0)) {
        return 1;
    }

    const power = 10 ** Math.floor(Math.log10(value));

    return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= value);
}


/*
 * Moves to the first point of each piece without gaps.  A point on its own is
 * a line of no length, which round ends make a dot.
 */

function outline(points) {
    let path = '';
    let open = false;
    let single = false;

    for (const point of points) {
        if (point === null) {
            path += single ? 'h0' : '';
            open = single = false;
            continue;
        }

        path += `${open ? 'L' : 'M'}${point[0]} ${point[1]}`;
        single = !open;
        open = true;
    }

    return path + (single ? 'h0' : '');
}


/* Down to the ground below the first and last point of each piece. */

function area(points) {
    const pieces = [[]];

    points.forEach((point) => (
        point ? pieces.at(-1).push(point) : pieces.push([])));

    return pieces.filter((piece) => piece.length > 1).map((piece) => (
        `M${piece[0][0]} ${HEIGHT}`
        + piece.map(([x, y]) => `L${x} ${y}`).join('')
        + `L${piece.at(-1)[0]} ${HEIGHT}z`)).join('');
}


/*
 * title; format, of a value; lines: [{ name, label, over }], where the first is
 * the large number, and over names the samples that say whether a value is but
 * a lower bound; least, the smallest ceiling; ceil, a fixed one, of the
 * status; note, of the status, in place of the labels.
 */

export class Chart {
    constructor({ title, format, lines, least = 0, ceil, note }) {
        Object.assign(this, { title, format, lines, least, ceil, note });

        this.number = h('span', null, '–');
        this.legend = h('ul', { class: 'legend' });
        this.labels = lines.slice(1).map(({ label }, i) => {
            const value = h('span', { class: 'value' });

            this.legend.append(h('li', { class: `line-${i + 2}` },
                                 value, ` ${label}`));
            return value;
        });
        this.noted = h('p', { class: 'note' });
        this.top = h('span', null);
        this.ground = svg('path', { class: 'area line-1' });
        this.paths = lines.map((_, i) => (
            svg('path', { class: `line line-${i + 1}` })));
        this.marks = svg('path', { class: 'marks' });
        this.cursor = svg('path', { class: 'cursor' });
        this.drawing = svg('svg', { role: 'img', class: 'drawing',
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' },
            svg('path', { class: 'grid', d: `M0 1H${WIDTH}M0 50H${WIDTH}` }),
            this.marks, this.ground,
            ...this.paths.toReversed(),     // the first is on top
            this.cursor);
        this.element = h('section', { class: 'chart card' },
            h('h2', null, title),
            h('p', { class: `number ${lines.length > 1 ? 'line-1' : ''}` },
              this.number,
              lines[0].label && h('small', null, ` ${lines[0].label}`)),
            lines.length > 1 ? this.legend : this.noted,
            h('div', { class: 'plot' }, this.drawing,
              h('p', { class: 'scale', 'aria-hidden': 'true' },
                this.top, h('span', null, '0'))));
    }

    draw(samples, status, now, index) {
        const values = this.lines.map(({ name }) => samples.values[name]);
        const all = values.flat().filter((value) => value !== null);
        const top = this.ceil ? this.ceil(status)
                              : ceiling(Math.max(this.least, ...all));
        const x = (time) => (
            Math.round((WIDTH - (now - time) / 1000) * 10) / 10);
        const points = values.map((list) => list.map((value, i) => (
            value === null ? null : [x(samples.times[i]),
                Math.round((HEIGHT - 98 * value / top) * 10) / 10])));

        this.paths.forEach((path, i) => (
            path.setAttribute('d', outline(points[i]))));
        this.ground.setAttribute('d', area(points[0]));
        this.marks.setAttribute('d', samples.marks.map(({ time }) => (
            `M${x(time)} 0V${HEIGHT}`)).join(''));
        this.cursor.setAttribute('d', index === null ? ''
            : `M${x(samples.times[index])} 0V${HEIGHT}`);

        this.top.textContent = this.format(top);
        this.tell(samples, status, index);
        this.describe(all);
    }

    tell(samples, status, index) {
        const read = (name) => (index === null
            ? samples.latest(name) : samples.values[name][index]);
        const text = ({ name, over }) => (
            (over && read(over) ? 'over ' : '') + this.format(read(name)));

        this.number.textContent = text(this.lines[0]);
        this.noted.textContent = this.note?.(status) ?? '';
        this.labels.forEach((label, i) => {
            label.textContent = text(this.lines[i + 1]);
        });
    }

    describe(all) {
        const text = all.length
            ? `between ${this.format(Math.min(...all))} and `
              + `${this.format(Math.max(...all))}`
            : 'nothing known';

        this.drawing.setAttribute('aria-label',
            `${this.title}, the last ten minutes: ${text}`);
    }

    /* The moment below the pointer, as a part of the ten minutes. */

    moment(event) {
        const { left, width } = this.drawing.getBoundingClientRect();

        return Math.min(1, Math.max(0, (event.clientX - left) / width));
    }
}
