/*
 * Elements, made from names, attributes and texts.
 *
 * This is the only way that anything gets into the page: a text becomes a
 * text node, whoever wrote it, and never HTML.  Attributes are set one by one
 * for the same reason, and since the content security policy refuses markup
 * with styles in it.
 */

const SVG = 'http://www.w3.org/2000/svg';


function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (typeof value === 'function') {
            element.addEventListener(name.replace(/^on/, ''), value);

        } else if (value !== null && value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? '' : value);
        }
    }

    element.append(...children.flat(Infinity).filter((child) => (
        child !== null && child !== undefined && child !== false)));

    return element;
}


/* h('p', { class: 'faint', onclick: f }, 'text', h('b', null, 'bold')) */

export function h(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}


export function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}


export function button(text, onclick, attributes) {
    return h('button', { type: 'button', onclick, ...attributes }, text);
}


export function link(text, href, attributes) {
    return h('a', { href, ...attributes }, text);
}


/* For screen readers only. */

export function unseen(...children) {
    return h('span', { class: 'unseen' }, ...children);
}


/*
 * Sets a text only where it is another one: a live region would be read
 * again, and a selection in it lost.
 */

export function write(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}


/* Terms with their values: what a screen reader can go through one by one. */

export function facts(pairs, attributes) {
    return h('dl', { class: 'facts', ...attributes },
             pairs.map(([term, ...value]) => (
                 h('div', null, h('dt', null, term), h('dd', null, value)))));
}


/* A label over its field. */

export function field(label, control, ...more) {
    return h('div', { class: 'field' },
             h('label', { for: control.id }, label), control, ...more);
}


export function options(select, pairs, chosen) {
    select.replaceChildren(...pairs.map(([value, text]) => (
        h('option', { value, selected: value === chosen }, text))));

    return select;
}


/* A question with two answers; resolves to true where it was confirmed. */

export function ask(title, text, yes) {
    const dialog = h('dialog', { 'aria-labelledby': 'question' },
        h('h2', { id: 'question' }, title),
        h('p', null, text),
        h('div', { class: 'buttons' },
          button('Cancel', () => dialog.close()),
          button(yes, () => dialog.close('yes'), { class: 'danger' })));

    document.body.append(dialog);
    dialog.showModal();

    return new Promise((resolve) => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
    });
}
