#!/usr/bin/perl

# Several nodes as one, in bad hours: the engine stands, dies, forgets; the way
# to it is cut at each byte; nodes and the thread that copies the log die.
# What got a 201 is on each node once; what got a 503 on none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::Cluster qw(contents);
use Chat::Pusher qw(subscribe_to);
use Chat::HTTP qw(from_json);
use Chat::Server qw(build_dir spew wait_for);

my $failpoints = build_dir() . "/cluster-faults-$$";

$ENV{CHAT_MODULE} = build_dir() . '/failpoints/ngx_chat_module.so';
$ENV{CHAT_FAILPOINTS} = $failpoints;

spew($failpoints, "\0" x 128);

# nodes are kept from the engine for a while, and stay what they are
my $cluster = Chat::Cluster->new(main => 'env CHAT_FAILPOINTS;',
                                 cluster => 'lease=1m isolate=5m',
                                 engine => "appendonly yes\n"
                                           . 'appendfsync always');
my (%got, $serial);

# what happens to the engine and to nodes is logged
$cluster->server($_)->expect_log(
    qr/chat cluster: the engine has (?:lost|not answered)/,
    qr/chat cluster: term \d+ begins behind/,
    qr/\[crit\].* chat cluster: /) for $cluster->names;


# Posts to a node; what came of it.

sub post {
    my ($node) = @_;

    my $content = 'message ' . ++$serial;
    my $status = $cluster->post($node, $content)->{status};

    push @{ $got{$status} }, $content;

    return $status;
}


sub works {
    my ($title) = @_;

    for my $node ($cluster->names) {
        ok(wait_for(40, sub { post($node) == 201 }),
           "$title: node $node takes messages");
    }

    $cluster->same_history($title);
    $cluster->has_each_once($title, @{ $got{201} });

    my %there = map { $_->{content} => 1 } @{ $cluster->history('a') };

    is(join(',', grep { $there{$_} } @{ $got{503} || [] }), '',
       "$title: what got a 503 is not there");

    return;
}


sub arm {
    my ($name, $passes) = @_;

    my $bytes = pack('a56 q<', $name, $passes || 1) . "\0" x 64;

    open my $fh, '+<:raw', $failpoints or die $!;
    syswrite($fh, $bytes) == 128 or die $!;

    return;
}


works('at the start');


# ---- the engine stands still

{
    my $ws = $cluster->node('a')->ws;
    subscribe_to($ws, 'chat');

    my $epoch = $cluster->http('b')->get('/stale')->{headers}{'chat-epoch'};
    my $oldest = $cluster->history('b')->[0]{content};

    $cluster->engine->signal('STOP');

    like(post('a'), qr/^50[34]$/, 'the engine stands: a message is refused');
    is($cluster->http('b')->get('/messages')->{status}, 503,
       'and history, which may be old');

    my $stale = $cluster->http('b')->get('/stale');

    is($stale->{status}, 200, 'unless an old one will do');
    is(from_json($stale->{body})->[0]{content}, $oldest, 'which it is');
    is($stale->{headers}{'chat-epoch'}, $epoch, 'under its epoch');

    $ws->send_event({ event => 'pusher:ping', data => {} });
    is($ws->next_event->{event}, 'pusher:pong', 'connections go on');

    $cluster->engine->signal('CONT');

    works('the engine goes on');
    ok((grep { /^message / } contents($ws, 1)),
       'the subscriber is still there, and gets events');
}


# ---- the engine dies, and comes back with its log

$cluster->engine->kill_hard;
like(post('b'), qr/^50[34]$/, 'without an engine a message is refused');
$cluster->engine->start;
works('the engine is back');


# ---- answers that are cut

for my $n (0, 1, 9, 20, 40, 60) {
    $cluster->proxy('a')->tell("answers $n");
    my $status = post('a');

    is($status, 201, "cut behind $n bytes of an answer: it is asked again");
}

works('answers were cut');


# ---- connections that are cut

$cluster->proxy($_)->tell('cut') for $cluster->names;
works('all connections were cut');


# ---- a node is away

{
    my $server = $cluster->server('b');
    my @pids = $server->worker_pids;

    $server->kill_all;
    is(post('a'), 201, 'node b is killed, the other goes on') for 1 .. 5;

    $server->start;
    $cluster->connect('b');
    works('node b is back');
}


# ---- the thread that copies the log dies

for my $name ('back leased', 'back commit', 'back committed', 'back sent',
              'front appended')
{
    my %before = map { $_ => scalar @{[ $cluster->server($_)->error_log
                       =~ /exited on signal 9/g ]} } $cluster->names;

    arm($name);

    # some worker of some node dies: back leased only when another one has
    if ($name eq 'back leased') {
        my ($pid) = $cluster->server('a')->worker_pids;
        $cluster->server('a')->expect_killed($pid, 9);
        kill 'KILL', $pid;
    }

    my $content = 'message ' . ++$serial;

    eval { push @{ $got{$cluster->post('a', $content)->{status}} }, $content };

    ok(wait_for(20, sub {
        grep { @{[ $cluster->server($_)->error_log
               =~ /exited on signal 9/g ]} > $before{$_} } $cluster->names;
    }), "$name: a worker dies");

    arm('none', 1 << 40);

    for my $node ($cluster->names) {
        my $server = $cluster->server($node);

        $server->expect_killed($_, 9)
            for $server->error_log =~ /process (\d+) exited on signal 9/g;
        ok(wait_for(10, sub { $server->worker_pids == 2 }), "$name: replaced");
        $cluster->connect($node);
    }

    works($name);
}


# ---- the engine forgets all

{
    my $ws = $cluster->node('b')->ws;
    subscribe_to($ws, 'chat');

    my $epoch = $cluster->http('a')->get('/messages')->{headers}{'chat-epoch'};

    $cluster->engine->command('FLUSHALL');
    works('the engine has forgotten all');

    isnt($cluster->http('a')->get('/messages')->{headers}{'chat-epoch'},
         $epoch, 'the epoch is another one');
    is($ws->wait_close, 4200, 'subscribers are told to reconnect');
}


# ---- the engine forgets what only one node has seen

{
    $cluster->proxy('b')->tell('hold');
    is(post('a'), 201, 'node a has what node b has not') for 1 .. 3;

    $cluster->proxy('a')->tell('refuse');
    $cluster->engine->command('FLUSHALL');
    $cluster->proxy('b')->tell('pass');

    ok(wait_for(40, sub { post('b') == 201 }),
       'node b makes the cluster anew, behind less');
    post('b');

    $cluster->proxy('a')->tell('pass');
    works('node a is back with what only it had');
}

$cluster->finish;
unlink $failpoints;

done_testing();
