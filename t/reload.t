# Promise 7: a reload is a non-event.  Connections of the old workers are told
# to reconnect (4200); what is published meanwhile reaches old and new workers
# alike; ids and history go on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json);
use Chat::Server qw(APP_KEY wait_for);
use Chat::WebSocket qw(TEXT CLOSE read_all);

use constant CLIENTS => 40;

my $server = Chat::Server->new(workers => 2,
                               server => 'add_header X-Worker $pid always;')
                         ->start;
my $port = $server->port;
my $http = Chat::HTTP->new(port => $port);
my $epoch = $http->get('/messages')->{headers}{'chat-epoch'};

my @old = map {
    my $ws = Chat::WebSocket->established(port => $port);
    $ws->subscribe('chat');
    $ws;
} 1 .. CLIENTS;

my (@posted, %code, %got, %ended);


sub post_one {
    my $res = $http->post('/messages', { content => 'm' . @posted });

    # the old worker may close an idle connection
    if (!$res->{status}) {
        $http = Chat::HTTP->new(port => $port);
        $res = $http->post('/messages', { content => 'm' . @posted });
    }

    die "POST: $res->{status}" unless $res->{status} == 201;

    push @posted, from_json($res->{body})->{id};

    return $res->{headers}{'x-worker'};
}


sub take {
    my ($ws, $f) = @_;

    if ($f->[0] eq 'eof') {
        $ended{$ws} = 1;

    } elsif ($f->[0] == CLOSE) {
        $code{$ws} = unpack 'n', $f->[1];
        $ws->send_close($code{$ws});

    } elsif ($f->[0] == TEXT) {
        my $e = from_json($f->[1]);
        push @{ $got{$ws} }, from_json($e->{data})->{id}
            if $e->{event} eq 'new_message';
    }
}


# A connection of one of the given workers.  The old ones listen for a moment
# longer; one that drains already must say 4100, after which clients try again
# in a second (and never 42xx, after which they try at once).

sub connect_to {
    my ($workers, $name) = @_;

    my $ws;
    my @odd;

    ok(wait_for(10, sub {
           $ws = Chat::WebSocket->new(port => $port);
           my $e = $ws->next_event;

           return 1 if $workers->{ $ws->header('X-Worker') || '' }
                       && ($e->{event} || '')
                          eq 'pusher:connection_established';

           push @odd, $e->{raw} || join ' ', %$e
               unless $e->{event} && ($e->{event}
                                      eq 'pusher:connection_established'
                                      || $e->{data}{code} == 4100);

           return 0;
       }), $name);

    is("@odd", '', "$name: and nothing odd on the way");

    return $ws;
}


post_one() for 1 .. 5;

my %new = map { $_ => 1 } $server->reload;

# Posts to new workers, until the old connections have ended; one new
# subscriber listens to all of it.

my $fresh = connect_to(\%new, "a new connection is a new worker's");
$fresh->subscribe('chat');
my $seen_from = @posted;

$http->close;
$http = Chat::HTTP->new(port => $port);

my $to_new = 0;
my $next = 0;

my $all = read_all(60, [ @old, $fresh ], \&take, sub {
    return 1 if keys %ended >= @old;
    if (time() > $next) {
        my $worker = post_one();
        $to_new++ if $new{$worker};
        $next = time() + 0.02;
    }
    return 0;
});

ok($all, 'all old connections have ended');
is(scalar(grep { ($code{$_} || 0) == 4200 } @old), CLIENTS,
   'each was told 4200');
cmp_ok($to_new, '>', 0, 'messages were posted to new workers meanwhile');

# Who is sent away later has heard more; of some 200 messages in 5 s, and 20
# groups of clients.
my %heard = map { scalar @{ $got{$_} || [] } => 1 } @old;
cmp_ok(scalar keys %heard, '>', 2,
       'the clients are sent away one after the other, not all at once');

my $reached = 0;

for my $ws (@old) {
    my @ids = @{ $got{$ws} || [] };

    is("@ids", join(' ', @posted[0 .. $#ids]),
       'an old connection got a beginning of all events, without a gap');
    $reached++ if @ids > 5;
}

cmp_ok($reached, '>', 0, 'new workers\' events reached old ones');

# What is still under way to the new subscriber.
read_all(10, [ $fresh ], \&take, sub { $got{$fresh}[-1] == $posted[-1] });
is("@{ $got{$fresh} }", join(' ', @posted[$seen_from .. $#posted]),
   'the new subscriber got all, once, in order');

is(join(' ', map { $_->{id} } @{ $http->history('/messages') }), "@posted",
   'history has all of them');
is($http->get('/messages')->{headers}{'chat-epoch'}, $epoch,
   'the database is the same');

ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 2 }),
   'the old workers are gone');

# Reloads in a row.
for my $n (1 .. 3) {
    my %serving = map { $_ => 1 } $server->worker_pids;
    my $ws = connect_to(\%serving, "reload $n: before it");

    $ws->subscribe('chat');

    my %now = map { $_ => 1 } $server->reload;

    my $e = $ws->next_event(20);
    $e = $ws->next_event(5) if ($e->{event} || '') eq 'pusher:error';
    is($e->{close}, 4200, "reload $n: told to reconnect");
    $ws->send_close(4200);

    $http = Chat::HTTP->new(port => $port);
    my $next_one = connect_to(\%now, "reload $n: a new worker");
    $next_one->subscribe('chat');
    post_one();
    is(from_json($next_one->next_event->{data})->{id}, $posted[-1],
       "reload $n: goes on");
}

# A change that can't be made: the old configuration stays.
my @workers = $server->worker_pids;

$server->write_conf(zone => '16m');
$server->expect_log(qr/\[emerg\].*(?:zone|chat_zone)/);
kill 'HUP', $server->master_pid;

ok(wait_for(10, sub { $server->error_log =~ /\[emerg\]/ }),
   'another zone size is refused');
my ($line) = $server->error_log =~ /^(.*\[emerg\].*)$/m;
like($line, qr/16m|16777216/, 'the message names the new size');
like($line, qr/\b8m|8388608/, 'and the old one');
is(join(' ', $server->worker_pids), "@workers", 'the workers go on');
is($http->post('/messages', { content => 'still' })->{status}, 201,
   'and serve');

# nginx 1.22 itself alerts where it is terminated while a worker drains
ok(wait_for(20, sub { my @pids = $server->all_worker_pids; @pids == 2 }),
   'the workers of all those reloads are gone');

$server->finish;

# The end: clients are told to reconnect, too.
my $last = Chat::Server->new(workers => 2)->start;
my $ws = Chat::WebSocket->established(port => $last->port);

$ws->subscribe('chat');
kill 'QUIT', $last->master_pid;

my $e = $ws->next_event(20);
$e = $ws->next_event(5) if ($e->{event} || '') eq 'pusher:error';
is($e->{close}, 4200, 'nginx -s quit: told to reconnect');
$ws->send_close(4200);
ok($last->reap_master(15), 'and nginx ends');
$last->finish;

# A single process has its thread pool once: nginx begins none at its reload.
my $single = Chat::Server->new(workers => 0, main => 'master_process off;')
                         ->start;

$http = Chat::HTTP->new(port => $single->port);
$ws = Chat::WebSocket->established(port => $single->port);
$ws->subscribe('chat');

$single->expect_log(qr/chat can't be reloaded with "master_process off"/);
kill 'HUP', $single->master_pid;

ok(wait_for(10, sub { $single->error_log =~ /master_process off/ }),
   'a single process refuses a reload');
is($http->post('/messages', { content => 'single' })->{status}, 201,
   'and serves as before');
like($ws->next_event(10)->{data}, qr/single/, 'its subscribers, too');
$single->finish;

done_testing();
