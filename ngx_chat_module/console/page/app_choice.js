/*
 * The apps of the configuration, and a choice among them.
 */

import { field, h, options } from './element.js';
import { get } from './server.js';


/* Errors are the caller's. */

export async function readApps(signal) {
    const { data } = await get('apps', { signal });

    return data.apps;
}


/*
 * The app that is shown: the one of the address, or else the one that was
 * chosen last, or the first.
 */

let last = null;

export function choose(apps, id) {
    const found = apps.find((app) => app.id === (id ?? last));

    if (id !== undefined) {
        last = found?.id ?? last;
        return found ?? null;
    }

    return found ?? apps[0] ?? null;
}


/* A list where there is something to choose. */

export function chooser(apps, app, onchoose) {
    if (apps.length < 2) {
        return null;
    }

    const select = h('select', { id: 'app',
                                 onchange: () => onchoose(select.value) });

    return field('App', options(select, apps.map(({ id }) => [id, id]),
                                app?.id));
}
