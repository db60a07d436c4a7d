/*
 * A reporter for node:test that writes plain TAP: one line for each test,
 * none for a suite that only sums up; what a failure says are comments.
 * (Node's own TAP nests, and its YAML is more than Perl's harness reads.)
 */

export default async function* tap(events) {
    let n = 0;

    for await (const { type, data } of events) {

        if (type !== 'test:pass' && type !== 'test:fail') {
            continue;
        }

        const error = data.details?.error;

        if (error ? error.failureType === 'subtestsFailed'
                  : data.details?.type === 'suite')
        {
            continue;
        }

        const passed = type === 'test:pass' ? '' : 'not ';
        const name = data.name.replace(/[\n#]/g, ' ');
        const skip = data.skip ? ' # SKIP' : data.todo ? ' # TODO' : '';

        yield `${passed}ok ${++n} - ${name}${skip}\n`;

        if (error) {
            const text = String(error.cause?.stack ?? error.stack ?? error);

            yield text.replace(/^/gm, '# ') + '\n';
        }
    }

    yield `1..${n}\n`;
}
