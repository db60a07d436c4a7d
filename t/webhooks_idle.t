# A herald that has nothing to do: it looks once a second whether somebody else
# has changed something in the database, without a lock, and begins no
# transaction.  What others change is seen all the same.
#
# Failpoints that kill nobody count how often it looks, and how often it
# commits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Failpoints qw(FAR arm prepare passes_left);
use Chat::Pusher qw(subscribe_to);
use Chat::Receiver;
use Chat::Server qw(wait_for);


prepare();
arm('hook census' => FAR, 'hook commit' => FAR);

my $r = Chat::Receiver->new;

my $t = Chat::Pusher->new(
    workers => 2,
    main    => 'env CHAT_FAILPOINTS;',
    app     => 'webhook ' . $r->url . ' events=channel_occupied;',
);

my $server = $t->server;


# How often it has done the one, and has committed.

sub passes { return map { FAR - $_ } passes_left() }


# Waits for so many looks more; how often it has committed meanwhile.

sub commits_of {
    my ($n) = @_;

    my ($looks, $commits) = passes();

    ok(wait_for(20, sub { (passes())[0] >= $looks + $n }), "$n looks more");

    return (passes())[1] - $commits;
}


my $ws = $t->ws;
subscribe_to($ws, 'room');
is_deeply([ $r->wait_texts(1) ], [ 'channel_occupied room' ], 'one event');

# 10 s behind a start
ok(wait_for(40, sub { (passes())[0] }), 'then it compares who is there');
arm('hook look' => FAR, 'hook commit' => FAR);
is(wait_for(30, sub { commits_of(2) == 0 }), 1, 'and then there is nothing');
is(commits_of(4), 0, 'it begins no transaction');

# messages are none of its own
$t->publish('room', 'hello');
is(commits_of(2), 0, 'nor where others have written something else');

# rows of somebody else's
my $columns = 'app, webhook, created_at, event';
my $key = $t->sqlite('SELECT id FROM webhooks');
my $now = time() * 1000;
my $old = $now - 8 * 24 * 3600 * 1000;

$t->sqlite("INSERT INTO webhook_events ($columns) SELECT app, id, $now,"
       . " json_object('name', 'foreign', 'channel', 'x') FROM webhooks");
is_deeply([ grep { /foreign/ } $r->wait_texts(2) ], [ 'foreign x' ],
          'rows that somebody has inserted are sent');

# what is not configured any more, behind much else of that kind which was given
# up, and what was given up long ago
$t->sqlite('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n'
       . " WHERE i < 40) INSERT INTO webhook_events ($columns, dead_at)"
       . " SELECT 1, i, $now, '{}', $now FROM n;"
       . "INSERT INTO webhook_events ($columns) VALUES (1, 77, $now, '{}');"
       . "INSERT INTO webhook_events ($columns, dead_at)"
       . " VALUES (1, $key, $old, '{}', $old), (1, 77, $old, '{}', $old)");
is(wait_for(20, sub {
       $t->sqlite("SELECT group_concat(webhook || ' ' || coalesce(error, '-'))"
              . ' FROM webhook_events WHERE webhook > 40')
       eq '77 the webhook is not configured any more' }), 1,
   'what nobody sends is given up, what is too old is gone');

is(wait_for(30, sub { commits_of(2) == 0 }), 1, 'and there is nothing');

$t->finish;
$r->down;

done_testing();
