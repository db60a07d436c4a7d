# The HTTP fallback's times: heartbeats, and clients that do not come back
# (takes 55 s: the times of the protocol can't be configured).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use Chat::Fallback;
use Chat::Pusher qw(subscribe_to join_presence is_event);
use Chat::Server qw(SCALE wait_for);
use Chat::Token qw(fresh_token is_new is_recovered acknowledge);

use constant {
    BEAT => 25, AWAY => 10, LOST => 30, LIMIT => 262144,
    COARSE => 0.1,              # s; of clocks
};

my $t = Chat::Pusher->new(workers => 2,
    more => 'location /pusher/ { chat_fallback; }');

my $start = time();     # before all of the server's timers

sub client { return Chat::Fallback->established(port => $t->port, @_) }

# all of these wait at the same time

my $stream = client();
my $deaf = client(deaf => 1);
my $poll = client(polling => 1);
my $left = client(polling => 1);
my $full = client();
my $ws = $t->ws;

# an answer that is lost on its way: the first ping asks whether it has heard
# that nothing is recovered, the second what it has of the room

my $token = fresh_token();
my $lost = client(token => $token);

is_new($lost, 'lossy', 'a client');

my $known = $t->publish('lossy', 'known');
is_event($lost->next_event, 'news', 'lossy', $known, 'an event');
acknowledge($lost);
my @doubled = $t->publish('lossy', 'doubled');
is_event($lost->next_event, 'news', 'lossy', $doubled[0], 'another');
is($lost->next_event->{event}, 'pusher:ping', 'R9: it is asked');
my $asked = time();

join_presence($ws, 'presence-left', 'eve');
join_presence($left, 'presence-left', 'ann');
is($ws->next_event->{event}, 'pusher_internal:member_added', 'ann comes');

subscribe_to($full, 'full');
$t->publish('full', "\x{1f600}" x 2400) for 1 .. 10;
$full->next_event while $full->{units} <= LIMIT || $full->{lines} ne '';

my $polled = time();    # before the request: the server's timer starts later

$poll->receive;

is($ws->next_event(AWAY + 10)->{event}, 'pusher_internal:member_removed',
   'F8, P115: who polls no more is gone');
cmp_ok(time() - $start, '>=', AWAY - COARSE, 'behind 10 s');
is($left->send_list([])->{status}, 404, 'and so is the session');

ok(!defined $full->next_line(AWAY + 10), 'F5: an answer that is full ends');
cmp_ok(time() - $start, '>=', AWAY - COARSE, 'behind 10 s without another one');
ok(!IO::Select->new($stream->{http}->socket)->can_read(0),
   'and before there is any heartbeat');
is($full->send_list([])->{status}, 404, 'with its session');

is($poll->next_line(BEAT + 10), 'h', 'F7, P108: an idle poll ends with h');
cmp_ok(time() - $polled, '>=', BEAT - COARSE, 'behind 25 s');
is($poll->rest_of($poll->{http}), "0\r\n\r\n", 'and nothing else');
$poll->receive;

is($stream->next_line(BEAT + 10), 'h', 'F7: a stream has h');
is($stream->send_list([])->{status}, 204, 'which the client answers');

is($deaf->next_line(BEAT + 10), 'h', 'and so has another');

# more comes for the one whose answer was lost

wait_for(LOST + 10, sub { time() > $asked + LOST + 1 });
push @doubled, $t->publish('lossy', 'late');
is_event($lost->next_event, 'news', 'lossy', $doubled[1], 'behind 30 s');
is($lost->next_event->{data}{code}, 4200, 'it has to come back');
is($lost->next_event->{close}, 4200, 'so that it is asked again');

$lost = client(token => $token);
is_recovered($lost, 'lossy', \@doubled, 'nothing is lost');
acknowledge($lost);
$lost->disconnect;

$lost = client(token => $token);
is_recovered($lost, 'lossy', [], 'and it is known what the client has');
$lost->disconnect;

my $e = $deaf->next_event(BEAT + 10);
is($e->{event}, 'pusher:error', 'who does not answer is told');
is($e->{data}{code}, 4201, 'that it did not');
is($deaf->next_event->{close}, 4201, 'P16: and closed');
ok(!defined $deaf->next_line && $deaf->{ended} eq 'whole', 'to the end');
cmp_ok(time() - $start, '>=', 2 * BEAT - COARSE, 'behind the second heartbeat');

is($stream->next_line(BEAT), 'h', 'who answers goes on');

is($t->status->{connections_closed_by_reason}{silent}, 2,
   'both are counted');
is($t->status->{connections_fallback}, 2, 'two are left');

$t->finish;
done_testing();
