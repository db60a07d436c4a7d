#!/usr/bin/perl

# Webhooks of a cluster: one node at a time sends them, and whoever does it next
# goes on where that one was.  No event is lost, none comes under two ids, and
# what a receiver believes is what is true.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Cluster;
use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_json);
use Chat::Pusher qw(subscribe_to join_presence client_event);
use Chat::Receiver;
use Chat::Server qw(APP_ID wait_for);

prepare();

my $r = Chat::Receiver->new;
my $given_up = Chat::Receiver->new(name => 'given-up');
my $events = 'events=channel_occupied,channel_vacated,member_added,'
             . 'member_removed,client_event,cache_miss,message_stored,'
             . 'connection_closed';

my $cluster = Chat::Cluster->new(
    nodes => [qw(a b c)],
    main => 'env CHAT_FAILPOINTS;',
    cluster => 'lease=2s; chat_drain 1s',
    app => 'client_events on; webhook ' . $r->url . " $events"
           . " channels=presence-*,cache-*,chat;\n"
           . 'webhook ' . $given_up->url
           . ' events=channel_occupied channels=given-* retry=2s;',
);

my $n = 0;


# The node that sends; '' while there is none.

sub leader {
    my $engine = $cluster->engine;
    my $incarnation = $engine->command('GET', '{chat}:herald') // return '';
    my $node = $engine->command('HGET', '{chat}:nodes', $incarnation) // '';

    return $node =~ /^\d+ (.*)/ ? $1 : '';
}


sub leads {
    my ($title, @nodes) = @_;

    my $leader;

    ok(wait_for(30, sub {
        $leader = leader();
        return grep { $_ eq $leader } @nodes;
    }), "$title: @nodes");

    return $leader;
}


sub others {
    my ($name) = @_;

    return grep { $_ ne $name } $cluster->names;
}


sub post {
    my ($node, $text) = @_;

    is($cluster->post($node, $text)->{status}, 201, "\"$text\" on node $node");
}


# What a node knows of webhooks, but for what it has not sent yet.

sub tables {
    my ($node) = @_;

    return $cluster->server($node)->sqlite(<<'END');
SELECT app, channel, user FROM webhook_state ORDER BY 1, 2, 3;
SELECT id, webhook, event, batch, tries, dead_at FROM webhook_events ORDER BY 1;
SELECT id, url FROM webhooks ORDER BY 1;
SELECT * FROM meta WHERE key LIKE 'webhook%' OR key = 'books' ORDER BY 1;
SELECT seq FROM sqlite_sequence WHERE name = 'webhook_events';
END
}


sub same_tables {
    my ($title) = @_;

    my ($first, @others) = $cluster->names;

    for my $node (@others) {
        ok(wait_for(10, sub { tables($node) eq tables($first) }),
           "$title: nodes $first and $node have the same books")
            or is(tables($node), tables($first), 'the books');
    }
}


# All is told, once: each of these texts, and none of them under two ids.

sub told {
    my ($title, @texts) = @_;

    my %times;

    wait_for(30, sub {
        my %n;

        $n{$_}++ for $r->texts;
        %times = map { $_ => $n{$_} || 0 } @texts;

        return !grep { $times{$_} < 1 } @texts;
    });

    is(join(', ', map { "$times{$_} times $_" } grep { $times{$_} != 1 }
                  @texts), '', "$title: each is told once");
    is($r->faults(qr/^(?!message_stored|connection_closed)/), '',
       "$title: and well");
    $r->forget;
}


# A channel with a member on each node: what is told of that, from the first to
# the last.

sub life {
    my ($title, @nodes) = @_;

    my $room = 'presence-' . ++$n;
    my %ws = map { $_ => $cluster->node($_)->ws } @nodes;

    join_presence($ws{$_}, $room, $_) for @nodes;
    client_event($ws{$_}, $room, "client-$_", 'text') for @nodes;
    $r->wait_texts(scalar @nodes, qr/member_added $room/);
    $_->disconnect for values %ws;

    return "channel_occupied $room", "channel_vacated $room",
           map { ("member_added $room $_", "member_removed $room $_",
                  "client_event $room $_ client-$_") } @nodes;
}


# A node that was started, or lost its workers.  A worker waits a minute for the
# first request of a connection.

sub is_back {
    my ($node) = @_;

    $cluster->node($node)->{http}->close;
    $cluster->connect($node);
    post($node, "node $node is there");
}


is_back($_) for $cluster->names;

my $leader = leads('one node leads', $cluster->names);

subtest 'what each node sees is told by one' => sub {
    my @texts = life('all nodes', $cluster->names);

    for my $node ($cluster->names) {
        my $ws = $cluster->node($node)->ws;

        subscribe_to($ws, "cache-$node");
        push @texts, "cache_miss cache-$node", "channel_occupied cache-$node",
                     "channel_vacated cache-$node";
        post($node, "from $node");
        $ws->disconnect;
    }

    told('all nodes', @texts);
    same_tables('all nodes');
    is(scalar(grep { $cluster->server($_)->senders } $cluster->names), 1,
       'only one node has sent anything');
};

subtest 'messages, and connections that were closed' => sub {
    post($_, "text of $_") for $cluster->names;
    $cluster->node($_)->ws->disconnect for $cluster->names;

    wait_for(20, sub { $r->texts(qr/^message_stored/) >= 3
                       && $r->texts(qr/^connection_closed/) >= 3 });

    my @stored = map { from_json($_->{data})->{content} }
                 grep { $_->{name} eq 'message_stored' } $r->events;

    is(join(', ', @stored), 'text of a, text of b, text of c',
       'each message, in the order of the log');
    is(scalar(@{[ $r->texts(qr/^connection_closed/) ]}), 3,
       'each connection');
    $r->forget;
};

subtest 'the node that sends is killed with a full outbox' => sub {
    $r->answer('500');

    my @texts = life('before', others($leader));

    post((others($leader))[0], 'a message that waits');
    ok(wait_for(20, sub { scalar $r->requests }), 'it was tried');
    ok(wait_for(10, sub { tables((others($leader))[0]) =~ /member_removed/ }),
       'the others have it');

    $cluster->server($leader)->kill_all;

    my $next = leads('another one takes over', others($leader));

    $r->answer('200');
    push @texts, life('meanwhile', others($leader));
    told('behind a death', @texts);

    $cluster->server($leader)->start;
    is_back($leader);
    same_tables('it is back');
    $leader = $next;
};

subtest 'it leaves' => sub {
    my @texts = life('before', $cluster->names);
    my @ws = map { $cluster->node($leader)->ws } 1 .. 20;

    $r->wait_texts(1, qr/channel_vacated presence-$n/);
    $cluster->server($leader)->stop('QUIT');

    my $next = leads('another one takes over', others($leader));

    push @texts, life('meanwhile', others($leader));

    my %closed = map { $_->socket_id => 0 } @ws;

    ok(wait_for(30, sub {
        my @ids = map { $_->{socket_id} }
                  grep { $_->{name} eq 'connection_closed' } $r->events;

        $closed{$_} = 0 for keys %closed;
        $_ && exists $closed{$_} && $closed{$_}++ for @ids;

        return !grep { !$_ } values %closed;
    }), 'its connections are told to be closed');
    is(scalar(grep { $_ > 1 } values %closed), 0, 'each once');
    told('behind its end', @texts);
    $cluster->server($leader)->start;
    is_back($leader);
    $leader = $next;
};

subtest 'it is reloaded, and its workers are killed' => sub {
    my @texts = life('before', $cluster->names);

    $cluster->server($leader)->reload;
    is_back($leader);
    push @texts, life('behind a reload', $cluster->names);

    for my $pid ($cluster->server($leader)->worker_pids) {
        $cluster->node($leader)->kill_worker($pid);
    }

    ok(wait_for(10, sub { $cluster->server($leader)->worker_pids == 2 }),
       'its workers are replaced');
    is_back($leader);
    push @texts, life('behind their death', $cluster->names);
    told('reloads and deaths', @texts);
    $leader = leads('a node leads', $cluster->names);
};

subtest 'it stands still for longer than its lease' => sub {
    my $server = $cluster->server($leader);
    my @pids = $server->worker_pids;
    my @texts = life('before', $cluster->names);

    $server->expect_log(qr/chat cluster: /);
    kill 'STOP', @pids;

    my $next = leads('another one takes over', others($leader));

    push @texts, life('meanwhile', others($leader));
    kill 'CONT', @pids;
    push @texts, life('when it goes on', others($leader));
    told('it stood still', @texts);
    same_tables('it stood still');
    $leader = $next;
};

subtest 'the engine is full' => sub {
    my %ws = map { $_ => $cluster->node($_)->ws } $cluster->names;
    my %closed = map { $_->socket_id => 0 } values %ws;

    $cluster->server($_)->expect_log(qr/chat cluster: /) for $cluster->names;
    $cluster->engine->command('CONFIG', 'SET', 'maxmemory', '1');
    $_->disconnect for values %ws;

    ok(wait_for(20, sub {
        grep { $cluster->server($_)->error_log =~ /webhooks wait, as the engine/
        } $cluster->names;
    }), 'webhooks wait');
    $cluster->engine->command('CONFIG', 'SET', 'maxmemory', '0');

    ok(wait_for(30, sub {
        $_ && delete $closed{$_} for map { $_->{socket_id} } $r->events;

        return !%closed;
    }), 'and are told when it has room again');
    $r->forget;
};

subtest 'the engine is away, and answers are cut' => sub {
    $cluster->server($_)->expect_log(qr/chat cluster: /) for $cluster->names;

    my %ws = map { $_ => $cluster->node($_)->ws } $cluster->names;
    my $room = 'presence-' . ++$n;

    join_presence($ws{$_}, $room, $_) for $cluster->names;
    $cluster->engine->signal('STOP');
    $_->disconnect for values %ws;
    $cluster->engine->signal('CONT');
    $r->wait_texts(1, qr/channel_vacated $room/);

    for my $bytes (0, 1, 30, 60) {
        $cluster->proxy($_)->tell("answers $bytes") for $cluster->names;
        life("cut behind $bytes bytes", $leader);
    }

    $cluster->proxy($_)->tell('pass') for $cluster->names;
    $r->wait_texts(1, qr/channel_vacated presence-$n/);

    my @texts = map { ("channel_occupied presence-$_",
                       "channel_vacated presence-$_") } $n - 4 .. $n;

    told('cuts', @texts);
    same_tables('cuts');
};

# Some worker has died; which one, of which node, was not to be said.

my %dead;

sub is_killed {
    my ($point) = @_;

    my $gone = sub {
        my ($node) = @_;

        return grep { !$dead{$_} }
               $cluster->server($node)->error_log
               =~ /process (\d+) exited on signal 9/g;
    };

    ok(wait_for(20, sub { grep { $gone->($_) } $cluster->names }),
       "$point: a worker died");
    arm();

    for my $node ($cluster->names) {
        my $server = $cluster->server($node);
        my @pids = $gone->($node) or next;

        $dead{$_} = 1 for @pids;
        $server->expect_killed($_, 9) for @pids;
        ok(wait_for(10, sub { $server->worker_pids == 2 }),
           "$point: it is replaced");
        is_back($node);
    }
}


# What was told of a channel is what may happen: it is occupied before it is
# vacated, a member is added before it is removed, and in the end nobody is
# there.

sub may_be {
    my ($title, $room) = @_;

    my (%there, @faults);

    for ($r->texts(qr/ $room\b/)) {
        my ($what, $who) = /^(?:channel|member)_(\w+) (.*)/ or next;
        my $comes = $what eq 'occupied' || $what eq 'added';

        push @faults, $_ if $comes == ($there{$who} || 0);
        $there{$who} = $comes ? 1 : 0;
    }

    is(join(', ', @faults, grep { $there{$_} } sort keys %there), '',
       "$title: what was told of it may be");
}


subtest 'workers die at each place of the way' => sub {
    $dead{$_} = 1 for map { $cluster->server($_)->error_log
                            =~ /process (\d+) exited on signal 9/g }
                      $cluster->names;

    for my $point ('hook forward', 'hook commit', 'hook committed',
                   'hook noted', 'hook send', 'hook answered', 'hook settle',
                   'hook census', 'hook leased')
    {
        my $room = 'presence-' . ++$n;
        my %ws = map { $_ => $cluster->node($_)->ws } $cluster->names;

        $leader = leads("$point: a node leads", $cluster->names);

        # these are on the way of a new herald
        my ($pid) = $point =~ /census|leased/
                    ? $cluster->server($leader)->senders : ();

        arm($point, 1);
        kill 'KILL', $pid if $pid;

        # the client's own worker may be the one that dies
        for my $node ($cluster->names) {
            eval {
                join_presence($ws{$node}, $room, $node);
                client_event($ws{$node}, $room, "client-$node", 'text');
            };
        }

        is_killed($point);

        my $back = $cluster->node($leader)->ws;

        join_presence($back, $room, 'late');
        ok(scalar($r->wait_texts(1, qr/member_added $room late/)),
           "$point: it goes on");
        eval { $_->disconnect } for $back, values %ws;
        ok(scalar($r->wait_texts(1, qr/channel_vacated $room/)),
           "$point: to the end");
        may_be($point, $room);
    }

    same_tables('deaths');
    $r->forget;
};

subtest 'what was given up is sent again, by a node that does not send' => sub {
    my $ws = $cluster->node('a')->ws;
    my ($other) = others($leader = leads('a node leads', $cluster->names));

    $given_up->answer('500');
    subscribe_to($ws, 'given-up');

    for my $node ($cluster->names) {
        ok(wait_for(20, sub {
            $cluster->server($node)->sqlite('SELECT count(*) FROM'
                . ' webhook_events WHERE dead_at > 0') == 1;
        }), "node $node knows that it was given up");
    }

    $given_up->answer('200');

    my $res = $cluster->http($other)->post(
        "/console/apps/@{[APP_ID]}/webhooks/revive", {},
        { 'X-Chat-Console' => 1 });

    is($res->{status}, 200, "node $other is asked to send it again");
    is(join(', ', $given_up->wait_texts(1)), 'channel_occupied given-up',
       'it arrives');
    is($given_up->faults, '', 'under its id');
    same_tables('it was sent again');
};

subtest 'a node whose database is gone, and the log is short' => sub {
    my $leads = leads('a node leads', $cluster->names);
    my ($bare, $other) = others($leads);
    my $server = $cluster->server($bare);
    my $ws = $cluster->node($leads)->ws;
    my $books = sub { tables($_[0]) =~ s/\d+\n?\z//r };

    $_->expect_log(qr/chat cluster: /)
        for map { $cluster->server($_) } $cluster->names;
    $server->kill_all;
    unlink map { $server->database . $_ } '', '-wal', '-shm';
    join_presence($ws, 'presence-stays', 'one');

    my @texts = life('while it is away', $leads, $other);

    told('while it is away', @texts, 'channel_occupied presence-stays',
         'member_added presence-stays one');
    ok(wait_for(20, sub { tables($other) eq tables($leads) }),
       'both others have all');
    $cluster->engine->command('XTRIM', '{chat}:log', 'MAXLEN', 1);
    $server->start;
    $cluster->connect($bare);
    wait_for(60, sub { $cluster->cluster_status($bare)->{joined} });
    is_back($bare);

    # it asks when it comes upon an item behind what it lacks
    told('when it is back', life('when it is back', $cluster->names));
    ok(wait_for(20, sub { $books->($bare) eq $books->($leads) }),
       'it has the books again')
        or is($books->($bare), $books->($leads), 'the books');

    $cluster->server($other)->kill_all;
    $cluster->server($leads)->kill_all;
    is(leads('the others are gone', $bare), $bare, 'it sends');
    told('alone', 'channel_vacated presence-stays',
         'member_removed presence-stays one');
    unlike($server->error_log, qr/no node was there that has all/,
           'with all that they had');

    for my $node ($leads, $other) {
        $cluster->server($node)->start;
        is_back($node);
    }

    told('together', life('together', $cluster->names));
};


$cluster->finish;

done_testing();
