# Webhooks and an upgrade on the fly (USR2, WINCH, QUIT): two nginx, each with
# a zone of its own, on one database.  Who is on the old one is not told to be
# gone because the new one does not know of it, nor is anything lost of the new
# one; and in the end the receiver's books are right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use Chat::HTTP;
use Chat::Pusher qw(subscribe_to join_presence client_event);
use Chat::Receiver;
use Chat::Server qw(APP_ID wait_for);
use Chat::Upgrade qw(cannot start_daemon upgrade workers_of on_worker ws_on
                     http_on old_ends new_ends);

my $missing = cannot();

plan skip_all => $missing if $missing;

my $r = Chat::Receiver->new;
my $id = APP_ID;

my $server = Chat::Server->new(
    workers   => 2,
    app       => 'client_events on; webhook ' . $r->url
                 . ' events=channel_occupied,channel_vacated,member_added,'
                 . 'member_removed,client_event,connection_closed,'
                 . 'message_stored;',
    server    => 'add_header X-Worker $pid always;',
    locations => "location = /publish { chat_publish room news app=$id; }\n"
                 . 'location /app/ { chat_websocket; }'
                 . 'location = /chat_status { chat_status; }',
);

start_daemon($server);

my $port = $server->port;


sub post_on {
    my ($text, @pids) = @_;

    is(http_on($port, @pids)->post('/publish',
                                   { content => $text })->{status}, 201,
       "POST: $text");
}


my $old_master = $server->master_pid;
my @old = $server->worker_pids;

my ($stays, $goes) = map { ws_on($port, @old) } 1 .. 2;

join_presence($stays, 'presence-room', 'stays');
join_presence($goes, 'presence-room', 'goes');
subscribe_to($goes, 'left');
$r->wait_texts(4, qr/occupied|added/);

my ($new_master, @new) = upgrade($server);

# what happens at each
my $new = ws_on($port, @new);
join_presence($new, 'presence-room', 'new');
subscribe_to($new, 'new');
client_event($new, 'presence-room', 'client-new', 'text');
post_on('to the new', @new);

my $late = ws_on($port, @old);
join_presence($late, 'presence-room', 'late');

$r->wait_texts(1, qr/member_added presence-room late/);
is(scalar $r->wait_texts(1, qr/message_stored/), 1,
   'what the new one stores is told at once');

# the new one's clients have 10 s to come back, then it could say who has not:
# this one is told to be gone after that
my $fence = ws_on($port, @old);
subscribe_to($fence, 'fence');
ok(wait_for(30, sub {
       my $started = (stat "/proc/$new[0]")[10];
       return time() - $started >= 15;
   }), 'the new one has been there for long');
$fence->disconnect;
is(scalar $r->wait_texts(1, qr/vacated fence/), 1, 'the old one goes on');
is_deeply([ $r->texts(qr/removed|vacated (?!fence)/) ], [],
          'who is on the old one is not told to be gone');

# a request keeps a worker of the old one there, which has no session
my $slow = on_worker(
    sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
          or die $! },
    sub {
        my ($s) = @_;
        print $s "GET /chat_status HTTP/1.1\r\nHost: x\r\n\r\n";
        $s->flush;
        my $head = '';
        $head .= <$s> until $head =~ /X-Worker: (\d+)/;
        return $1;
    }, @old);

print $slow "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . "Content-Length: 1000\r\n\r\n{";
$slow->flush;

# the old one leaves; one client comes back to the new one
kill 'WINCH', $old_master;

my $e = $stays->next_event(20);
$e = $stays->next_event(5) while defined $e->{event};
is($e->{close}, 4200, 'a client is told 4200');
$_->send_close(4200) for $stays, $goes, $late;

my $back = ws_on($port, @new);
join_presence($back, 'presence-room', 'stays');

is(scalar $r->wait_texts(1, qr/removed presence-room goes/, 60), 1,
   'who does not come back is told to be gone');
$r->wait_texts(1, qr/removed presence-room late/, 60);
$r->wait_texts(1, qr/vacated left/, 60);
cmp_ok(scalar(() = workers_of($old_master, $new_master)), '>=', 1,
       'while a worker of the old one is still there');

# now the new one is the only one
$new->disconnect;
$r->wait_texts(1, qr/vacated new/);

is_deeply([ sort $r->texts(qr/^(?:channel|member)/) ], [ sort
    'channel_occupied presence-room', 'member_added presence-room stays',
    'member_added presence-room goes', 'channel_occupied left',
    'member_added presence-room new', 'channel_occupied new',
    'member_added presence-room late',
    'channel_occupied fence', 'channel_vacated fence',
    'member_removed presence-room goes', 'channel_vacated left',
    'member_removed presence-room late',
    'member_removed presence-room new', 'channel_vacated new' ],
    'all of both was told, once, and nothing else');
is_deeply([ $r->texts(qr/^client_event/) ],
          [ 'client_event presence-room new client-new' ], 'client events, too');

my %closed = map { $_->{socket_id} => $_->{code} }
             grep { $_->{name} eq 'connection_closed' } $r->events;

is_deeply([ map { $closed{ $_->socket_id } } $stays, $goes, $late ],
          [ ('4200') x 3 ], "the old one's connections were told to end");

is($server->sqlite('SELECT channel, user FROM webhook_state'),
   "presence-room|\npresence-room|stays", 'the books are right');

close $slow;
old_ends($server, $new_master);
new_ends($server);
$r->down;

done_testing();
