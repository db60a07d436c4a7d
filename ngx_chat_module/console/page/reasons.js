/*
 * The counters of what was refused, closed or brought back, by the names
 * that `status` has for them, and what each means.
 */

export const GROUPS = [
    {
        title: 'Connections refused',
        list: 'connections_refused_by_code',
        reasons: {
            4000: 'The app takes connections over TLS only (tls_only).',
            4001: 'No app has this key.',
            4003: 'The app is not enabled.',
            4004: 'The app has max_connections already.',
            4005: 'There is no key in the path, or its token is not valid.',
            4007: 'The client speaks another version of the protocol.',
            4100: 'The worker is leaving, or all worker slots are taken.',
        },
        more: { origins_refused: ['Origin', 'chat_origins does not have it.'] },
    },
    {
        title: 'Connections closed by the server',
        list: 'connections_closed_by_reason',
        reasons: {
            slow: 'It did not read: more than chat_send_buffer waited.',
            overrun: 'It may have missed events, and was told to come back.',
            shutdown: 'Its worker leaves, after a reload or by a stop.',
            isolated: 'Its node is cut off from its cluster.',
            worker_died: 'Its worker died.',
            silent: 'It did not answer a ping.',
            unauthorized: 'It did not sign in within authorization_timeout.',
            terminated: 'A server or an operator disconnected the user.',
            protocol: 'What it sent is no WebSocket, or is too long.',
            broken: 'A write failed, or there was no memory.',
        },
    },
    {
        title: 'Subscriptions refused',
        list: 'subscriptions_refused_by_reason',
        reasons: {
            name: 'The name of the channel is not valid.',
            signature: 'The signature is not valid.',
            user: 'The channel of another user.',
            member: 'The channel_data is not valid.',
            channels: 'The connection has channels_per_connection already.',
            members: 'The channel has presence_members already.',
            duplicate: 'The connection is subscribed already.',
            capacity: 'Shared memory is full for the app.',
        },
        more: { signins_refused: ['Sign-in', 'It is not valid.'] },
    },
    {
        title: 'Client events refused',
        list: 'client_events_refused_by_reason',
        reasons: {
            disabled: 'client_events is off for the app.',
            invalid: 'It has no channel, or no data.',
            channel: 'The channel takes no client events.',
            not_subscribed: 'The sender is not in the channel.',
            size: 'Its data are too long.',
            rate: 'More than ten in a second.',
            capacity: 'There was no memory.',
        },
        more: { commands_invalid: ['Message',
                                   'It is none of the protocol.'] },
    },
    {
        title: 'Requests of servers',
        more: {
            unavailable_answers: ['503', 'It could not be stored or sent.'],
            answers_early: ['Early', 'Answered before a worker that hangs '
                            + 'had sent the event.'],
            keys_forgotten: ['Key forgotten', 'An idempotency key, before '
                             + 'its ten minutes were over.'],
        },
    },
    {
        title: 'Clients that came back',
        list: 'recoveries_by_result',
        reasons: {
            ring: 'Recovered from memory.',
            history: 'Recovered from the database.',
            new: 'Not in the channel before.',
            expired: 'Away for longer than chat_recovery.',
            gone: 'What it missed is not there any more.',
            shared: 'Two clients use one token.',
            too_much: 'It missed too much.',
        },
    },
    {
        title: 'Event streams that came back',
        list: 'resumptions_by_result',
        reasons: {
            ring: 'Went on from memory.',
            history: 'Went on from the database.',
            gone: 'Something may be missing.',
        },
    },
];


/*
 * The rows of a group: what is said, and how many there are.  A reason that a
 * newer module has is shown by its name alone.
 */

export function rows(group, status, samples) {
    const known = Object.entries(status[group.list] ?? {})
        .map(([reason, total]) => ({
            key: `${group.list} ${reason}`, reason, total,
            text: group.reasons[reason] ?? '',
        }));
    const more = Object.entries(group.more ?? {})
        .filter(([name]) => name in status)
        .map(([name, [reason, text]]) => ({
            key: name, reason, text, total: status[name],
        }));

    return [...known, ...more].map((row) => ({
        ...row, recent: samples.recent(row.key),
    }));
}
