/*
 * Exactly once, for events without ids: a server that gives back what was
 * missed may send again what the page has had already.  The page knows how
 * much that is: it counts the events of each channel, notes its counts with
 * each ping, and skips what it has had behind the place from which the server
 * sends again.
 *
 *     const pusher = new Pusher(KEY + ';' + crypto.randomUUID(), …);
 *     const once = exactlyOnce(pusher);
 *
 *     pusher.subscribe('room').bind('news', once('room', (data) => …));
 */

function exactlyOnce(pusher) {
    const had = {}, start = {}, skip = {};
    const cached = new Set(), marks = new Map();

    // runs behind the page's handlers of the same message
    pusher.connection.bind('message', ({ event, channel, data }) => {
        if (event === 'pusher:ping') {
            marks.set(data.at, { ...had });

            if (marks.size > 1000) {
                const [[at, old]] = marks;

                marks.delete(at);

                // rather twice than never, where a place is forgotten
                for (const name in old) {
                    if (old[name] > (start[name] ?? 0)) {
                        start[name] = Infinity;
                    }
                }
            }

        } else if (event === 'pusher:recovery') {
            const { recovered, from, missed } = data;
            const n = had[channel] ?? 0;

            skip[channel] = recovered && missed
                ? n - (marks.get(from)?.[channel] ?? start[channel] ?? 0) : 0;

            if (!recovered) {
                start[channel] = n;
            }

            // a new subscription's cached event is none of those sent
            if (!recovered && /^([a-z]+-){0,2}cache-/.test(channel)) {
                cached.add(channel);
            }

        } else if (channel && !event.startsWith('pusher_internal:')) {
            if (cached.delete(channel) || event.startsWith('pusher:')) {
                return;

            } else if (skip[channel] > 0) {
                skip[channel]--;

            } else {
                had[channel] = (had[channel] ?? 0) + 1;
            }
        }
    });

    return (channel, handler) => (...args) => {
        if (!(skip[channel] > 0)) {
            handler(...args);
        }
    };
}
