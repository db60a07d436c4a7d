/*
 * What came in, and waiting until it is what one waits for.
 */

export class Inbox {
    items = [];
    waiting = new Set();

    push(item) {
        this.items.push(item);
        this.waiting.forEach((check) => check());
    }

    until(done, what, ms = 30000) {
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.waiting.delete(check);
                reject(new Error(`no ${what} in ${ms} ms, but `
                                 + JSON.stringify(this.items)));
            }, ms);

            const check = () => {
                if (done(this.items)) {
                    clearTimeout(timer);
                    this.waiting.delete(check);
                    resolve(this.items);
                }
            };

            this.waiting.add(check);
            check();
        });
    }

    count(n, what) {
        return this.until((items) => items.length >= n, `${n} ${what}`);
    }
}
