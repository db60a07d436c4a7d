/*
 * The console: its pages, the way between them, and whether the server is
 * there.
 *
 * The address behind the # says all that is shown, so that links, reloads and
 * the back button work: #/channel/APP/NAME/history?before=451
 */

import * as apps from './apps.js';
import * as channel from './channel.js';
import * as channels from './channels.js';
import { button, h, link, unseen, write } from './element.js';
import { words } from './fault.js';
import { clock } from './format.js';
import * as incidents from './incidents.js';
import { News } from './news.js';
import * as nodes from './nodes.js';
import * as overview from './overview.js';
import { Watch } from './watch.js';
import * as webhooks from './webhooks.js';


/*
 * In the order of the navigation; one without a title is not in it.  A page
 * is a module with open(route, context), which returns an object with title,
 * element, close(); where one address leads to another of the same page
 * update(route), false where the page is to be opened anew; and retry(), when
 * the server is back.
 */

const PAGES = [
    { path: '', title: 'Overview', page: overview },
    { path: 'channels', title: 'Channels', page: channels },
    { path: 'channel', page: channel, within: 'channels' },
    { path: 'apps', title: 'Apps', page: apps },
    { path: 'webhooks', title: 'Webhooks', page: webhooks },
    { path: 'nodes', title: 'Nodes', page: nodes },
    { path: 'incidents', title: 'Incidents', page: incidents },
];


const main = document.getElementById('main');
const state = document.getElementById('state');
const banner = document.getElementById('banner');
const badge = h('span', { class: 'badge', hidden: true });

const watch = new Watch();
const news = new News();
const context = { watch, news, go };

let shown = null;                       // the entry of PAGES
let view = null;                        // what its open() returned
let first = true;


function parse(hash) {
    const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');

    try {
        return { path: path.split('/').map(decodeURIComponent),
                 query: new URLSearchParams(query) };

    } catch {
        return { path: [''], query: new URLSearchParams() };
    }
}


function show() {
    const route = parse(location.hash);
    const wanted = route.path[0] === 'channel' && route.path.length < 3
                   ? 'channels' : route.path[0];
    const found = PAGES.find(({ path }) => path === wanted) ?? PAGES[0];

    if (shown === found && view.update && view.update(route) !== false) {
        retitle();
        return;
    }

    view?.close();
    shown = found;
    view = found.page.open(route, context);
    main.replaceChildren(view.element);
    retitle();
    mark();
    count();

    /* as a browser does it for a new page; the very first one it does itself */

    if (!first) {
        scrollTo(0, 0);
        main.querySelector('h1').focus({ preventScroll: true });
    }

    first = false;
}


function retitle() {
    document.title = `${view.title} – Console of ${location.host}`;
}


function go(address, { replace = false } = {}) {
    if (replace) {
        history.replaceState(null, '', address);
        show();

    } else {
        location.hash = address;
    }
}


function mark() {
    for (const a of document.querySelectorAll('#pages a')) {
        const current = shown.path === a.dataset.path;
        const within = shown.within === a.dataset.path;

        if (current || within) {
            a.setAttribute('aria-current', current ? 'page' : 'true');

        } else {
            a.removeAttribute('aria-current');
        }
    }
}


function navigation() {
    const list = document.getElementById('pages');

    list.append(...PAGES.filter(({ title }) => title).map((page) => h('li',
        null, link(page.title, `#/${page.path}`,
                   { 'data-path': page.path }))));

    list.querySelector('[data-path="incidents"]').append(' ', badge);
    news.addEventListener('change', count);
}


/* Whoever looks at the incidents sees which are new. */

function count() {
    const fresh = shown.page === incidents ? 0 : news.fresh;

    badge.hidden = fresh === 0;
    badge.replaceChildren(String(fresh), unseen(' new'));
}


/* What the server says, or does not. */

const STATES = {
    starting: 'Connecting…', live: 'Live', slow: 'Waiting…', away: 'Away',
    'sign-in': 'Signed out', forbidden: 'Not allowed', missing: 'Not there',
    busy: 'Overloaded', refused: 'Refused', broken: 'Out of order',
};

let version = null;

function tell() {
    const { status, error, answered } = watch;
    const { state: last } = document.body.dataset;
    const name = watch.state;

    state.dataset.state = name;
    write(state, STATES[name]);

    /* what failed meanwhile, and does not ask again by itself */

    if (name === 'live' && !['live', undefined].includes(last)) {
        view.retry?.();
        news.look();
    }

    document.body.dataset.state = name;

    if (name === 'live') {
        version ??= status.version;
        tellBanner(version === status.version ? null : {
            title: 'nginx has another version of the module now.',
            advice: 'This page is of the old one.' }, true);

    } else if (name === 'slow') {
        tellBanner({ title: 'The server has not answered for some seconds.',
                     advice: '' });

    } else if (error) {
        const { title, advice } = words(error);
        const since = answered
            ? ` Numbers are from ${clock(new Date(answered))}.` : '';
        const again = watch.slowly ? ' It is asked again every half minute.'
                                   : '';

        tellBanner({ title, advice: advice + since + again },
                   error.kind === 'sign-in');
    }
}


function tellBanner(text, reload) {
    const key = JSON.stringify([text, reload]);

    if (banner.dataset.key === key) {
        return;                         // not to be read aloud again
    }

    banner.dataset.key = key;
    banner.replaceChildren(...text ? [
        h('p', null, h('strong', null, text.title), ' ', text.advice),
        reload ? button('Reload', () => location.reload())
               : button('Try now', () => watch.retry()),
    ] : []);
}


document.getElementById('host').textContent = location.host;
document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault();             // the address is that of the page
    main.querySelector('h1').focus();
});

navigation();
watch.addEventListener('change', tell);
addEventListener('hashchange', show);
show();
watch.start();
news.start();
