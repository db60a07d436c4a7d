#!/usr/bin/perl

# A node that the log does not reach is filled by another one: one that was
# away, a new one without a database, and one whose file was replaced.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::Engine;
use Chat::Failpoints qw(arm prepare);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(build_dir slurp spew wait_for);

my $filled = qr/another node has given the (\d+) messages that this one lacked/;


# Whether all nodes take messages again, and have all.

sub is_whole {
    my ($cluster, $title, @contents) = @_;

    for my $node ($cluster->names) {
        $cluster->connect($node);
        ok(wait_for(90, sub { $cluster->cluster_status($node)->{joined} }),
           "$title: node $node is in the cluster");
    }

    $cluster->works($title, { 201 => [ @contents ] });

    return;
}


# Node b has stopped, and lacks three of these messages, which are not in the
# log any more.

sub lacks_three {
    my ($cluster) = @_;

    my @contents = map { "message $_" } 0 .. 3;

    $cluster->post('a', $contents[0]);
    $cluster->same_history('at first');
    $cluster->server('b')->kill_all;
    $cluster->post('a', $_) for @contents[1 .. 3];
    $cluster->engine->command('DEL', '{chat}:log');

    return @contents;
}


# How many messages each of a node's fills had.

sub fills {
    my ($server) = @_;

    return join ' ', $server->error_log =~ /$filled/g;
}


# An item, as link/ngx_chat_log_item.c has it.

sub item {
    my ($kind, $id) = @_;

    my $bytes = pack('C Q> Q> Q> C n n N', $kind, 1, $id, 1_700_000_000_000,
                     4, 0, 0, 1) . 'chatx';

    return pack('N', length $bytes) . $bytes;
}


# The workers of all nodes that have died by a failpoint.

sub dead {
    my ($cluster) = @_;

    my @pids;

    for my $node ($cluster->names) {
        my $server = $cluster->server($node);
        my @here = $server->error_log =~ /process (\d+) exited on signal 9/g;

        $server->expect_killed($_, 9) for @here;
        push @pids, @here;
    }

    return @pids;
}


# What is left of a fill in the engine: nothing, or what goes by itself where
# somebody died.

sub is_tidy {
    my ($cluster, $title, $dead) = @_;

    my $engine = $cluster->engine;

    # who gave up what nobody takes has waited for 30 s
    ok(wait_for(90, sub {
        my @fills = @{ $engine->command('KEYS', '{chat}:fill:*') };

        @fills = grep { $engine->command('PTTL', $_) == -1 } @fills if $dead;

        return !@fills && !$engine->command('EXISTS', '{chat}:fills');
    }), "$title: nothing of a fill stays in the engine");

    return;
}


# ---- a node that was away, and the log is gone; with the user of the documents

{
    my ($rights) = slurp("$FindBin::Bin/../conf/cluster.md")
                   =~ /ACL SETUSER chat on >PASSWORD (.*)/;
    my $engine = Chat::Engine->new(conf => "user chat on >sesame $rights");
    my $password = build_dir() . "/fill-password-$$";

    spew($password, "sesame\n");

    my $cluster = Chat::Cluster->new(engine => $engine,
        url => 'redis://chat@127.0.0.1:' . $engine->port,
        cluster => "lease=2s; chat_cluster_password $password");
    my ($a, $b) = map { $cluster->server($_) } qw(a b);
    my @contents = lacks_three($cluster);

    $b->start;
    is_whole($cluster, 'away', @contents);
    is(fills($b), '3', 'it was given what it lacked, once');
    is($cluster->cluster_status('b')->{log_trimmed}, 1, 'which is counted');
    is_tidy($cluster, 'away');

    # what it has is in its file
    $b->stop;
    $b->start;
    is_whole($cluster, 'again', @contents);
    is(fills($b), '3', 'it needs no other fill');
    $cluster->finish;
    unlink $password;
}


# ---- a new node without a database, and much to give

{
    my $cluster = Chat::Cluster->new(nodes => [ 'a' ], cluster => 'lease=2s');
    my @contents = map { "message $_ " . 'x' x 3000 } 1 .. 1500;
    my @refused = grep { $cluster->post('a', $_)->{status} != 201 } @contents;

    is(@refused, 0, 'some MB of messages');
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 10);
    $cluster->add('b');

    is_whole($cluster, 'new', @contents);
    is(fills($cluster->server('b')), '1500', 'it was given all');
    is_tidy($cluster, 'new');
    $cluster->finish;
}


# ---- the engine has lost more than what is offered behind that

{
    my $cluster = Chat::Cluster->new(cluster => 'lease=2s');
    my $b = $cluster->server('b');
    my @contents = map { "message $_" } 1 .. 1100;

    $cluster->server($_)->expect_log(qr/chat cluster: (?:the engine|term)/)
        for $cluster->names;
    $cluster->post('a', 'before');
    $cluster->same_history('at first');
    $b->kill_all;
    is(scalar(grep { $cluster->post('a', $_)->{status} != 201 } @contents), 0,
       'many messages');
    $cluster->engine->command('FLUSHALL');
    ok(wait_for(30, sub { $cluster->cluster_status('a')->{term} == 2 }),
       'a new term has begun');
    $b->start;

    is_whole($cluster, 'lost', 'before', @contents);
    is(fills($b), '1100', 'it was given what was lost');
    $cluster->finish;
}


# ---- an empty file in the place of a running node's

{
    my $cluster = Chat::Cluster->new(cluster => 'lease=2s');
    my $b = $cluster->server('b');
    my @contents = map { "message $_" } 1 .. 5;

    $b->expect_log(qr/removed or replaced under the running server/,
                   qr/another file was put in place/);
    $cluster->post('a', $_) for @contents;

    my $ws = $cluster->node('b')->ws;

    subscribe_to($ws, 'chat');
    $cluster->same_history('at first');
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
    spew($b->dir . '/empty', '');
    rename $b->dir . '/empty', $b->database or die "rename: $!";

    is($ws->wait_close(30), 4200, 'its client is told to come again');
    is_whole($cluster, 'empty', @contents);
    is(fills($b), '5', 'it was given all');
    $cluster->finish;
}


# ---- whoever gives, or is given, dies in the midst of it

{
    local %ENV = %ENV;

    prepare();

    my $cluster = Chat::Cluster->new(nodes => [qw(a b c)], workers => 1,
                                     cluster => 'lease=2s',
                                     main => 'env CHAT_FAILPOINTS;');
    my @contents = map { "message $_ " . 'x' x 3000 } 1 .. 300;
    my $b = $cluster->server('b');

    for my $point ('back gave', 'back filled') {
        my $dead = dead($cluster);

        $b->kill_all;
        is(scalar(grep { $cluster->post('a', $_)->{status} != 201 }
                  map { "$point $_" } @contents), 0, "$point: messages");
        $cluster->history($_) for qw(a c);
        $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 10);
        arm($point, 2);
        $b->start;
        ok(wait_for(30, sub {
            dead($cluster) > $dead;
        }), "$point: a worker died");
        arm();
        is_whole($cluster, $point, map { "$point $_" } @contents);
        is_tidy($cluster, $point, 1);
    }

    $cluster->finish;
}


# ---- what is given is nonsense, and then another node gives what it has

{
    my $engine = Chat::Engine->new;
    my $liar = '0123456789abcdef';

    # it is asked first
    $engine->command('HSET', '{chat}:nodes', $liar, '9' x 15 . ' liar');

    my $cluster = Chat::Cluster->new(engine => $engine,
                                     cluster => 'lease=2s');
    my $b = $cluster->server('b');
    my @contents = map { "message $_" } 1 .. 3;
    my ($end, $more) = ('1 99 00000000000000aa', '0 0 0000000000000000');
    my $none_of_ours = qr/what another node gives is none of this module's/;

    $cluster->post('a', 'before');
    $cluster->same_history('at first');

    for ([ 'no items', $more, 'x' x 100, $none_of_ours ],
         [ 'an item of another kind', $more, item(0, 1000), $none_of_ours ],
         [ 'no id', $more, item(5, 0), $none_of_ours ],
         [ 'an id that is no id', $more, item(5, 2 ** 60), $none_of_ours ],
         [ 'twice the same', $more, item(5, 1000) x 2, $none_of_ours ],
         [ 'an end before that', '1 10 00000000000000aa', item(5, 1000),
           $none_of_ours ],
         [ 'an end without a nonce', '1 99 0000000000000000', '',
           $none_of_ours ],
         [ 'another term', '7 9999 00000000000000aa', item(5, 1000), undef ],
         [ 'no place', 'nowhere', item(5, 1000), $none_of_ours ],
         [ 'no first chunk', $end, '', $none_of_ours, '1-2' ])
    {
        my ($title, $place, $items, $says, $id) = @$_;
        my $before = length $b->error_log;
        my $fill;

        $b->kill_all;
        $cluster->post('a', "$title $_") for @contents;
        $engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
        $engine->command('HDEL', '{chat}:fills', $liar);
        $b->start;
        ok(wait_for(20, sub {
            $fill = $engine->command('HGET', '{chat}:fills', $liar);
        }), "$title: it is asked for");
        $fill =~ s/ .*//;
        $engine->command('XADD', "{chat}:fill:$fill", $id // '1-1', 'p', $place,
                         'd', $items);
        is_whole($cluster, $title, map { "$title $_" } @contents);
        is($engine->command('EXISTS', "{chat}:fill:$fill"), 0,
           "$title: that is over");
        like(substr($b->error_log, $before), $says, "$title: it says so")
            if $says;
    }

    # the rest of the liar's
    $engine->command('HDEL', '{chat}:nodes', $liar);
    $cluster->finish;
}


# ---- a node that has something else than the others

{
    my $cluster = Chat::Cluster->new(cluster => 'lease=2s',
                                     timeout => { b => '1s' });
    my $b = $cluster->server('b');
    my $other = qr/the log has other entries before \d+ than this node has/;

    $b->expect_log($other);
    $cluster->post('a', $_) for qw(one two);
    $cluster->same_history('at first');
    $b->kill_all;
    $b->sqlite(q{UPDATE messages SET content = 'else' WHERE content = 'two'});
    $cluster->post('a', $_) for qw(three four);
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
    $b->start;
    $cluster->connect('b');
    ok(wait_for(30, sub { $b->error_log =~ $other }), 'it says so');
    is($cluster->post('b', 'no')->{status}, 503, 'and takes nothing');
    $b->kill_all;
    unlink map { $b->database . $_ } '', '-wal', '-shm';
    $b->start;
    is_whole($cluster, 'anew', qw(one two three four));
    $cluster->finish;
}


# ---- one of the others has something else, and the next one has not

{
    my $cluster = Chat::Cluster->new(nodes => [qw(a b c)],
                                     cluster => 'lease=2s');
    my ($a, $b) = map { $cluster->server($_) } qw(a b);
    my $texts = sub {
        return join ' ', map { $_->{content} } @{ $cluster->history($_[0]) };
    };

    $cluster->post('a', $_) for qw(one two);
    $cluster->same_history('at first');
    $b->kill_all;
    $a->sqlite(q{UPDATE messages SET content = 'else' WHERE content = 'two'});
    $cluster->post('a', 'three');
    is($texts->('c'), 'one two three', 'a third node has what this one had');
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
    $b->start;
    $cluster->connect('b');
    ok(wait_for(90, sub { $cluster->cluster_status('b')->{joined} }),
       'it is filled by that');
    is($texts->('b'), 'one two three', 'with what it has');
    $cluster->finish;
}


# ---- a part that was given is not kept where the rest does not come

{
    local %ENV = %ENV;

    prepare();

    my $cluster = Chat::Cluster->new(workers => 1, cluster => 'lease=2s',
                                     main => 'env CHAT_FAILPOINTS;');
    my ($a, $b) = map { $cluster->server($_) } qw(a b);
    my @contents = map { "message $_ " . 'x' x 3000 } 1 .. 300;

    $cluster->post('a', 'before');
    $cluster->same_history('at first');
    $b->kill_all;
    $cluster->post('a', $_) for @contents;
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
    arm('back filled', 2);
    $b->start;
    ok(wait_for(30, sub { dead($cluster) }), 'its worker died in a fill');
    arm();
    $a->kill_all;
    $b->kill_all;

    # it goes on with what it had before
    $_->expect_log(qr/chat cluster: (?:the engine|term)/) for $a, $b;
    $cluster->engine->command('FLUSHALL');
    $b->start;
    $cluster->connect('b');
    ok(wait_for(60, sub { $cluster->cluster_status('b')->{joined} }),
       'it makes the cluster anew');
    is(scalar @{ $cluster->history('b') }, 1, 'nothing of the fill is there');
    $a->start;
    is_whole($cluster, 'anew', 'before', @contents);
    $cluster->finish;
}


# ---- there is nobody who has it, and then there is

{
    my $cluster = Chat::Cluster->new(cluster => 'lease=2s',
                                     timeout => { b => '1s' });
    my ($a, $b) = map { $cluster->server($_) } qw(a b);
    my @contents = lacks_three($cluster);

    $a->kill_all;
    $b->start;
    $cluster->connect('b');

    ok(wait_for(30, sub {
        $b->error_log =~ /\[crit\].*no other node gives what is missing/;
    }), 'it says that nobody gives it');
    is($cluster->post('b', 'no')->{status}, 503, 'and takes nothing');
    is($cluster->http('b')->get('/messages')->{status}, 503,
       'nor does it show a history with a hole');

    $a->start;
    is_whole($cluster, 'late', @contents);
    is(fills($b), '3', 'then it is filled');
    $cluster->finish;
}


done_testing();
