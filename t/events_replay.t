# chat_events: a client that comes back with its position gets exactly what
# follows, or is told the truth.  The rows S are those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Events qw(path_of poll);
use Chat::HTTP qw(from_json from_text json_bytes);
use Chat::Pusher;
use Chat::Server qw(wait_for APP_ID APP_KEY);
use Chat::Token qw(fresh);

use constant {
    # $ENV{CHAT_WHOLE}: as many as the issue names
    EVENTS => $ENV{CHAT_WHOLE} ? 1000 : 200,
    CUTS   => $ENV{CHAT_WHOLE} ? 50 : 20,
    EARLIEST => 30,
};

my ($t, $api, $port);


sub start {
    my (%args) = @_;

    $t->finish if $t;

    $t = Chat::Pusher->new(workers => 2, more => <<'END', %args);
        location /apps/   { chat_api; }
        location /events/ { chat_events; }
        location = /history { chat_history $arg_channel app=17536051; }
END
    $port = $t->port;
    $api = Chat::API->new(port => $port);
}


sub client { return Chat::Events->open(port => $port, @_) }


# The next events are these: [ NAME, DATA ], and nothing is between.

sub gets {
    my ($c, $name, @events) = @_;

    my @got;

    for (@events) {
        my $e = $c->block or last;
        push @got, [ $e->{event}, $e->{data} ];
    }


    is_deeply(\@got, \@events, $name) or diag(explain(\@got));
}


sub told {
    my ($c, $what, $name) = @_;

    my $e = $c->block;

    is($e->{event}, 'recovery', "$name: is told");
    is_deeply(from_text($e->{data}), $what, "$name: the truth")
        or diag($e->{data});
    is($c->header('chat-last-event-id'), $c->{first}{id},
       "$name: and by a header, where it begins");
}


# The ring is written over: this is for servers with a zone of 1m.

sub overrun {
    $t->publish('elsewhere', 'x' x 9000) for 1 .. 100;
}


sub trigger {
    my ($channel, $data) = @_;

    my $res = $api->trigger({ name => 'told', channel => $channel,
                              data => "$data" });
    is($res->{status}, 200, "triggered on $channel");

    return [ 'told', "$data" ];
}


sub publish { return [ 'news', $t->publish($_[0], "$_[1]") ] }


start();


subtest 'a good position' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $c = client(path => path_of("$one,$two", raw => 1));

    my @first = (publish($one, 'first'), trigger($two, 'second'));
    gets($c, 'live', @first);

    my $id = $c->id;
    $c->close;

    my @missed;

    for my $n (1 .. 3) {
        push @missed, publish($one, $n), trigger($two, $n), publish($two, $n);
    }

    publish('elsewhere', 'not for it');

    my %ways = (
        'the header'   => [ headers => { 'Last-Event-ID' => $id } ],
        'ETag'         => [ headers => { 'If-None-Match' => "\"$id\"" } ],
        'a weak ETag'  => [ headers => { 'If-None-Match' => "W/\"$id\"" } ],
        map { my $name = $_;
              ($name => [ path => path_of("$one,$two", raw => 1,
                                          $name => $id) ]) }
            qw(last_event_id lastEventId lastEventID),
    );

    for my $name (sort keys %ways) {
        my $back = client(path => path_of("$one,$two", raw => 1),
                          @{$ways{$name}});

        is($back->header('chat-last-event-id'), $id,
           "S5, S6: $name: where it begins");
        is($back->id, $id, "S2: $name: as the stream says");
        gets($back, "S6: $name: what follows, in the ring's order", @missed);
        $back->close;
    }

    # a header that is newer than the URL
    my $late = client(path => path_of("$one,$two", raw => 1,
                                      last_event_id => $id));
    gets($late, 'by the URL', @missed);
    my $newer = client(path => path_of("$one,$two", raw => 1,
                                       last_event_id => $id),
                       id => $late->id);
    my @live = (publish($two, 'live'));
    gets($_, 'S6: then live ones', @live) for $late, $newer;
    $_->close for $late, $newer;

    my $now = client(channels => $one, id => '');
    @live = (publish($one, 'now'));
    gets($now, 'S5: an empty one is none', @live);
    $now->close;
};


subtest 'from every event on' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $path = path_of("$one,$two", raw => 1);
    my $c = client(path => $path);
    my @all = map { $_ % 3 ? publish($_ % 2 ? $one : $two, $_)
                           : trigger($one, $_) } 1 .. 12;
    my @ids = ($c->id);

    for (@all) {
        gets($c, 'live', $_);
        push @ids, $c->id;
    }

    for my $i (0 .. $#ids) {
        my $back = client(path => $path, id => $ids[$i]);

        gets($back, "S4: behind event $i", @all[$i .. $#all]);
        $back->close;
    }

    $c->close;
};


subtest 'cuts' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $path = path_of("$one,$two", raw => 1);
    my $c = client(path => $path);
    my (@sent, @got);

    srand($ENV{CHAT_SEED} // 21);

    for my $cut (1 .. CUTS) {
        for (1 .. EVENTS / CUTS) {
            my $channel = rand() < 0.5 ? $one : $two;
            push @sent, rand() < 0.3 ? trigger($channel, scalar @sent)
                                     : publish($channel, scalar @sent);
        }

        # some are read, none, or all that has been sent
        my $n = int rand(@sent - @got + 1);

        for (1 .. $n) {
            my $e = $c->event;
            push @got, [ $e->{event}, $e->{data} ];
        }

        my $id = $c->id;

        # by a reset, an end, or while it is still open
        setsockopt($c->socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
                   pack 'i i', 1, 0) if $cut % 3 == 0;
        $c->close if $cut % 3;
        $c = client(path => $path, id => $id);
    }

    while (@got < @sent) {
        my $e = $c->event or last;
        push @got, [ $e->{event}, $e->{data} ];
    }

    is_deeply(\@got, \@sent, 'S6: each exactly once, ' . @sent . ' events with '
                             . CUTS . ' cuts');
    $c->close;
};


subtest 'positions that lie' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $id = $c->id;
    my @parts = split /-/, $id;

    gets($c, 'live', publish($channel, 'one'));

    my %lies = (
        'a word'        => 'nonsense',
        'long'          => 'f' x 2000,
        'a NUL'         => "%00",
        'UTF-8'         => '%c3%a4',
        'one part less' => join('-', @parts[0 .. 2]),
        'one more'      => "$id-0",
        'not signed'    => join('-', @parts[0 .. 2], 0),
        'the beginning' => join('-', 0, @parts[1 .. 3]),
        'beyond'        => join('-', 'ffffffffffffffff', @parts[1 .. 3]),
        'another mark'  => join('-', $parts[0], 'fff', @parts[2, 3]),
        'upper case'    => uc "$id-A",
        'a space'       => "$id%20",
        '17 digits'     => '0' x 17 . $id,
    );

    for my $name (sort keys %lies) {
        my $back = client(path => path_of($channel,
                                          last_event_id => $lies{$name}));

        told($back, { recovered => JSON::PP::false }, "S6: $name");
        isnt($back->header('chat-last-event-id'), $id,
             "S6: $name: begins elsewhere");

        my $live = publish($channel, 'live');
        gets($back, "S6: $name: from now on", $live);
        $back->close;
    }
};


# What is stored between the client's begin and the reading of the history is
# in both, and comes once.

subtest 'earliest, while others post' => sub {
    my $channel = fresh('chat-');
    my @others = map { Chat::HTTP->new(port => $port) } 1 .. 4;
    my ($n, $wrong) = (0, 0);

    for (1 .. EARLIEST) {
        $_->send_raw($_->format_request('POST', '/publish',
            { 'Content-Type' => 'application/json', 'X-Channel' => $channel,
              'X-Event' => 'news' }, json_bytes({ content => 'x' })) x 2)
            for @others;

        my $c = client(channels => $channel, id => 'earliest');

        $_->read_response for @others, @others;
        $n += 2 * @others;

        my ($had, $last) = (0, 0);

        while ($had < $n) {
            my $e = $c->event;

            last if !$e || !defined $e->{data};

            my $id = from_text($e->{data})->{id};

            $wrong++ if $id <= $last;
            $last = $id;
            $had++;
        }

        $wrong++ if $had != $n;

        $n++;
        gets($c, 'and none behind them', publish($channel, 'last'));
        $c->close;
    }

    is($wrong, 0, 'S5, S6: each once, in order');
};


subtest 'a restart' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $id = $c->id;

    publish($channel, 'before');
    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $port);

    my $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::false }, 'S6: another ring');
    $back->close;

    my $all = client(channels => $channel, id => 'earliest');
    is(from_text($all->event->{data})->{content}, 'before',
       'S5: what is stored is there');

    my $live = publish($channel, 'after');
    gets($all, 'then live ones', $live);
    $all->close;
};


subtest 'a reload, a killed worker' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $seen = publish($channel, 'seen');

    gets($c, 'live', $seen);
    $t->server->reload;
    $t->{http} = Chat::HTTP->new(port => $port);
    is($c->event(20)->{end}, 'well', 'S9: a leaving worker ends its answers');

    my $missed = publish($channel, 'missed');
    my $back = client(channels => $channel, id => $c->id);
    gets($back, 'S9: and the client goes on', $missed);

    my %at = map { $_ => 1 } $t->server->worker_pids;

    for my $pid (keys %at) {
        $t->kill_worker($pid);
    }

    ok(wait_for(10, sub { $t->server->worker_pids >= 2 }), 'new workers');
    $t->server->{workers_seen} = [ $t->server->worker_pids ];
    $t->{http} = Chat::HTTP->new(port => $port);

    is($back->event->{end}, 'cut', 'a killed worker');

    $missed = publish($channel, 'meanwhile');
    my $again = client(channels => $channel, id => $back->id);

    # a worker that died with the lock has the positions forgotten
    if ($t->server->error_log =~ /shared memory was wiped/) {
        told($again, { recovered => JSON::PP::false }, 'S6: wiped');

    } else {
        gets($again, 'S6: nothing is lost', $missed);
    }

    $again->close;
};


start(zone => '1m');


subtest 'the ring is written over' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $path = path_of("$one,$two", raw => 1);
    my $before = $t->status->{resumptions_by_result};
    my $c = client(path => $path);
    my @seen = (publish($one, 'seen'));

    gets($c, 'live', @seen);
    my $id = $c->id;
    $c->close;

    overrun();

    my $back = client(path => $path, id => $id);

    # what comes before it has been looked up would be missed
    ok(wait_for(10, sub {
        $t->status->{resumptions_by_result}{ring} > $before->{ring};
    }), 'a client is back');

    my @live = (publish($two, 'live'));
    gets($back, 'S6: nothing was missed, nothing is said', @live);
    $back->close;

    my @missed = map { publish($_ % 2 ? $one : $two, $_) } 1 .. 20;
    overrun();
    push @missed, publish($two, 'in the ring');

    $back = client(path => $path, id => $id);
    told($back, { recovered => JSON::PP::true, missed => 22 },
         'S6: from the history');
    gets($back, 'S6: all, in order', @live, @missed);
    my @live_before = @live;
    @live = (publish($one, 'live'));
    gets($back, 'and live ones', @live);

    # by polls, of which each has a part
    my @all = (@live_before, @missed, @live);
    my ($at, @polled) = ($id);

    while (@polled < @all) {
        my $res = poll(Chat::HTTP->new(port => $port), $path,
                       { 'Last-Event-ID' => $at });

        ok($res->{json}{recovered}, 'S10: a poll is told so, too');
        last if !@{$res->{json}{events}};
        push @polled, map { [ @$_{qw(event data)} ] }
                          @{$res->{json}{events}};
        $at = $res->{json}{position};
    }

    is_deeply(\@polled, \@all, 'S10: and has all, in order');

    # cut in the midst of it
    my $part = client(path => $path, id => $id);
    told($part, { recovered => JSON::PP::true, missed => 23 }, 'again');
    $part->event for 1 .. 5;
    $part->close;

    my $rest = client(path => $path, id => $part->id);
    gets($rest, 'S6: cut while it got them', @missed[4 .. $#missed], @live);
    $_->close for $back, $rest;

    trigger($two, 'not stored');
    overrun();

    $back = client(path => $path, id => $id);
    told($back, { recovered => JSON::PP::false },
         'S6: an event that is not stored');

    my $after = $t->status->{resumptions_by_result};

    is_deeply({ map { $_ => $after->{$_} - $before->{$_} } keys %$after },
              { ring => 1, history => 4, gone => 1 }, 'they are counted');
    $back->close;
};


subtest 'earliest' => sub {
    my ($one, $two) = (fresh('one-'), fresh('two-'));
    my $path = path_of("$one,$two", raw => 1);
    my @all = map { publish($_ % 3 ? $one : $two, $_) } 1 .. 500;
    my $more = trigger($one, 'not stored');

    my $c = client(path => $path, id => 'earliest');
    my @live = map { publish($_ % 2 ? $one : $two, "live $_") } 1 .. 5;

    gets($c, 'S5: all that is stored, then live ones', @all, @live);
    $c->close;

    # cut at each of its rounds' places, and anywhere
    for my $n (1, 100, 127, 128, 129, 499, 500) {
        my $part = client(path => $path, id => 'earliest');
        $part->event for 1 .. $n;
        $part->close;

        my $rest = client(path => $path, id => $part->id);
        gets($rest, "S5: cut behind $n", @all[$n .. $#all], @live);
        $rest->close;
    }

    # rounds that are short since their messages are long
    my $long = fresh('long-');
    my @long = map { publish($long, "$_ " . 'x' x 9000) } 1 .. 30;

    $c = client(path => path_of("$one,$two,$long", raw => 1),
                id => 'earliest');
    gets($c, 'S5: long ones', @all, @live, @long);
    $c->close;

    $c = client(channels => fresh('none-'), id => 'earliest');
    ok($c->id, 'S5: a channel without messages');
    $c->close;
};


subtest 'too much' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $id = $c->id;

    $c->close;
    publish($channel, 'x' x 9000) for 1 .. 120;

    my $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::false },
         'S6: more than half of chat_send_buffer');
    $id = $back->id;
    $back->close;

    publish($channel, $_) for 1 .. 1000;
    overrun();

    $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::true, missed => 1000 },
         'S6: 1,000 events');
    $back->close;

    publish($channel, 'one more');
    $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::false }, 'S6: 1,001 events');
    $back->close;
};


subtest 'another database' => sub {
    my $channel = fresh('chat-');
    my $db = $t->server->database;
    my $c = client(channels => $channel);
    my $id = $c->id;

    for ('', '-wal', '-shm') {
        rename "$db$_", "$db.old$_" or die "rename: $!";
    }

    Chat::Server::spew($db, '');
    chmod 0666, $db;
    $t->server->expect_log(qr/\[(?:crit|error|notice|alert)\]/);

    ok(wait_for(20, sub {
        $t->http->post('/publish', { content => 'x' },
            { 'X-Channel' => 'elsewhere', 'X-Event' => 'x' })->{status} == 201
    }), 'another file is used');
    is($c->event(20)->{end}, 'well', 'S9: all are told to come back');

    my $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::false }, 'S6: another database');
    $back->close;
};


start(zone => '1m', http => 'chat_retention count=3;');


subtest 'retention in the gap' => sub {
    my $channel = fresh('chat-');
    my $c = client(channels => $channel);
    my $id = $c->id;

    $c->close;
    publish($channel, "missed $_") for 1 .. 6;
    overrun();

    ok(wait_for(20, sub {
        @{from_json($t->http->get("/history?channel=$channel")->{body})} <= 3
    }), 'old messages are removed');

    my $back = client(channels => $channel, id => $id);
    told($back, { recovered => JSON::PP::false }, 'S6: some are removed');
    $back->close;
};


$t->finish;
done_testing;
