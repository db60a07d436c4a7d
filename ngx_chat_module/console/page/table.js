/*
 * A table that is updated in its place: rows that stay are the same elements,
 * so that focus, selection and a screen reader's place in them stay, too.
 *
 * A column has a title and text(row), or make(row) for what is made once in
 * a row's life, such as a link; both may come together: make(row) is given
 * the element that text(row) is then written to.
 */

import { h, write } from './element.js';


export class Table {
    #rows = new Map();

    constructor({ label, columns, key, attributes }) {
        this.columns = columns;
        this.key = key;
        this.body = h('tbody');
        this.element = h('div', { class: 'scroll', role: 'region',
                                  'aria-label': label, ...attributes },
            h('table', null,
              h('thead', null, h('tr', null, columns.map((column) => (
                  h('th', { scope: 'col', class: column.class },
                    column.title))))),
              this.body));
    }

    #make(row) {
        const cells = this.columns.map((column, i) => {
            const attributes = { class: column.class,
                                 scope: i === 0 ? 'row' : null };

            return h(i === 0 ? 'th' : 'td', attributes,
                     column.make?.(row));
        });

        return { element: h('tr', null, cells), cells };
    }

    update(rows) {
        const left = new Map();
        let place = this.body.firstChild;

        for (const row of rows) {
            const key = this.key(row);
            const made = this.#rows.get(key) ?? this.#make(row);

            this.#rows.delete(key);
            left.set(key, made);

            this.columns.forEach((column, i) => {
                if (column.text) {
                    write(made.cells[i], column.text(row));
                }
            });

            if (made.element === place) {
                place = place.nextSibling;

            } else {
                this.body.insertBefore(made.element, place);
            }
        }

        this.#rows.forEach(({ element }) => element.remove());
        this.#rows = left;

        /* a stop for the Tab key only where there is something to scroll */

        if (this.element.scrollWidth > this.element.clientWidth) {
            this.element.tabIndex = 0;

        } else {
            this.element.removeAttribute('tabindex');
        }
    }
}
