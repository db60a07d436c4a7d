/*
 * What an error means, and what to do about it, in words.
 */

import { button, h } from './element.js';

const TEXTS = {
    away: ['The server cannot be reached.',
           'nginx is stopped, or the network between is broken.'],
    slow: ['The server does not answer.',
           'It may be overloaded, or a worker hangs.'],
    'sign-in': ['The server wants you to sign in.',
                'Reload the page to be asked again.'],
    forbidden: ['The server does not let you in (403).',
                'An allow, deny or auth_request of this location says so.'],
    missing: ['There is nothing at this address (404).',
              'The configuration may have changed.'],
    busy: ['The server takes no more requests now (503).',
           'It has too much to do, or a limit of this location is reached.'],
    refused: ['The server refused the request.', ''],
    broken: ['The answer is not what it should be.',
             'nginx’s error log may say why.'],
};


export function words(error) {
    const [title, advice] = TEXTS[error.kind]
                            ?? ['The page has a fault.', String(error)];
    const own = error.kind !== 'away' && error.kind !== 'slow'
                ? error.message : '';

    /* what the module itself says is the more exact */

    if (own && error.status >= 400 && error.status < 500) {
        return { title: `${own.replace(/\.$/, '')}.`, advice: '' };
    }

    return { title: error.status >= 500 && error.status !== 503
                    ? `${title.slice(0, -1)} (${error.status}).` : title,
             advice: [own, advice].filter(Boolean).join(' ') };
}


export function sentence(error) {
    const { title, advice } = words(error);

    return `${title} ${advice}`.trim();
}


/*
 * In place of what could not be shown.  Hidden while the banner says the same
 * of the whole server.
 */

export function fault(error, retry) {
    const { title, advice } = words(error);

    return h('div', { class: 'fault', role: 'alert', 'data-kind': error.kind },
             h('p', null, h('strong', null, title), ' ', advice),
             error.kind === 'sign-in'
             ? button('Reload', () => location.reload())
             : retry && button('Try again', retry));
}
