/*
 * Names of channels: what they say about the channel, and where its page is.
 */

import { h } from './element.js';

const CACHE = /^(private-encrypted-|private-|presence-)?cache-/;
const VALID = /^(#server-to-user-.+|[\w=@,.;-]+)$/;
const LONGEST = 200;


export function isPresence(name) {
    return name.startsWith('presence-');
}


export function isCache(name) {
    return CACHE.test(name);
}


export function isEncrypted(name) {
    return name.startsWith('private-encrypted-');
}


export function isUser(name) {
    return name.startsWith('#server-to-user-');
}


export function isValid(name) {
    return name.length <= LONGEST && VALID.test(name) && !isStep(name);
}


/* Browsers take these out of a path, %2E as well; so they lead nowhere. */

export function isStep(name) {
    return name === '.' || name === '..';
}


/* private, encrypted, presence, cache, user; of the others, public */

function kinds(name) {
    const found = [
        name.startsWith('private-') && !isEncrypted(name) && 'private',
        isEncrypted(name) && 'encrypted',
        isPresence(name) && 'presence',
        isCache(name) && 'cache',
        isUser(name) && 'user',
    ].filter(Boolean);

    return found.length && found[0] !== 'cache' ? found
                                                : ['public', ...found];
}


export function tags(name) {
    return h('span', { class: 'tags' }, kinds(name).flatMap((kind) => (
        [h('span', { class: `tag ${kind}` }, kind), ' '])));
}


/* The address of one of the console's pages. */

export function address(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => (
        value !== '' && value !== null && value !== undefined));
    const search = new URLSearchParams(given).toString();

    return `#/${path.map(encodeURIComponent).join('/')}`
           + (search && `?${search}`);
}


export function channelAddress(app, name, part, query) {
    return address(['channel', app, name, ...(part ? [part] : [])], query);
}
