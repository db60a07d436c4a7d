# Upgrade on the fly (USR2, WINCH, QUIT): what holds and what does not.
#
# The new master has a zone of its own.  It holds: no POST fails, ids go on in
# one order, history has all.  It does not: while both are there, an event
# goes to the subscribers of that nginx which took the request.  When the old
# workers leave, their clients are told 4200 and find the rest in history.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket;

plan skip_all => 'nginx starts its successor without the environment by '
                 . 'which valgrind and the sanitizers come along'
    if $ENV{CHAT_VALGRIND} || $ENV{CHAT_ASAN};

my $server = Chat::Server->new(workers => 2,
                               server => 'add_header X-Worker $pid always;');
my $pid_file = $server->dir . '/logs/nginx.pid';

# a master upgrades only where it has left the process that started it

(my $conf = $server->default_conf) =~ s/daemon off;//;
$server->write_conf(conf => $conf);
is(system($server->command), 0, 'nginx starts');

ok(wait_for(10, sub {
       -f $pid_file or return 0;
       ($server->{pid}) = slurp($pid_file) =~ /(\d+)/ or return 0;
       return $server->worker_pids == 2;
   }), 'with its workers');

my $port = $server->port;
my @ids;


sub children { return Chat::Server::children($_[0]) }


# A connection of one of the given workers.

sub on_worker {
    my ($class, $worker_of, @pids) = @_;

    my %want = map { $_ => 1 } @pids;

    for (1 .. 500) {
        my $c = $class->();
        return $c if $want{ $worker_of->($c) };
    }

    die "no connection to @pids";
}


sub ws_on {
    my $ws = on_worker(
        sub { Chat::WebSocket->established(port => $port) },
        sub { $_[0]->header('X-Worker') }, @_);

    $ws->subscribe('chat');

    return $ws;
}


sub http_on {
    return on_worker(
        sub { Chat::HTTP->new(port => $port) },
        sub { $_[0]->get('/chat_status')->{headers}{'x-worker'} }, @_);
}


sub post {
    my ($http, $text) = @_;

    my $res = $http->post('/messages', { content => $text });

    is($res->{status}, 201, "POST: $text");
    push @ids, from_json($res->{body})->{id};

    return $ids[-1];
}


sub hears {
    my ($ws, $id, $name) = @_;

    is(from_json($ws->next_event->{data})->{id}, $id, $name);
}


my $old_master = $server->master_pid;
my @old = $server->worker_pids;
my $old_ws = ws_on(@old);

hears($old_ws, post(http_on(@old), 'before'), 'a subscriber hears');

kill 'USR2', $old_master;

my $new_master;
my @new;

ok(wait_for(10, sub {
       ($new_master) = -f $pid_file ? slurp($pid_file) =~ /(\d+)/ : ();
       return 0 if !$new_master || $new_master == $old_master;
       @new = children($new_master);
       return @new == 2;
   }), 'there is a new master with its workers');

my $new_ws = ws_on(@new);

# both serve
my $to_old = post(http_on(@old), 'to the old');
my $to_new = post(http_on(@new), 'to the new');

hears($old_ws, $to_old, "the old one's subscriber hears the old one");
hears($new_ws, $to_new, "the new one's subscriber hears the new one");
ok($old_ws->nothing_waits, 'and not the other one');
ok($new_ws->nothing_waits, 'nor the other way round');

is(join(' ', map { $_->{id} } @{ Chat::HTTP->new(port => $port)
                                 ->history('/messages') }), "@ids",
   'history has all, from either');

# the old workers leave
my $http = http_on(@new);

kill 'WINCH', $old_master;

my $e = $old_ws->next_event(20);
$e = $old_ws->next_event(5) if ($e->{event} || '') eq 'pusher:error';
is($e->{close}, 4200, "the old one's subscriber is told 4200");
$old_ws->send_close(4200);

is(join(' ', map { $_->{id} } @{ from_json($http->get(
       "/messages?after=$to_old")->{body}) }), $to_new,
   'and finds in history what it has missed');

ok(wait_for(15, sub { my @pids = grep { $_ != $new_master }
                                 children($old_master);
                      @pids == 0 }), 'the old workers are gone');

kill 'QUIT', $old_master;
ok(wait_for(15, sub { !Chat::Server::is_alive($old_master) }),
   'the old master ends');
$server->{pid} = $new_master;

hears($new_ws, post($http, 'after'), 'the new one goes on');

my ($res) = map { $_->get('/chat_status') } $http;

is(from_json($res->{body})->{workers}, 2, 'with its two workers');

kill 'QUIT', $new_master;
ok(wait_for(15, sub { !Chat::Server::is_alive($new_master) }),
   'the new one ends');
undef $server->{pid};

$server->finish;

done_testing();
