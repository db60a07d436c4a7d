# The answer comes behind its event: when a client has the first byte of a 201,
# or of a trigger's 200, the event is in the receive buffer of each subscriber's
# socket, whichever worker has it.
#
# A worker that does not send the event is waited for, for a while and once;
# all answers that left before their event are counted.
#
# Nobody's time is measured: sockets are looked at without waiting, and where a
# limit is needed, it is a timer that must not end before the answers come.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(SCALE stop_worker wait_for slurp);
use Chat::WebSocket qw(TEXT);

use constant {
    EARLY  => 'answers_early',      # in chat_status
    ROUNDS => $ENV{CHAT_VALGRIND} ? 30 : 200,

    # Through one connection, with a worker stopped.  Each takes a few ms; with
    # 100 ms for each, which is what a worker is waited for, they take 30 s.
    # The timer ends before that, and after more than ten times what they take.
    IN_A_ROW => 300 * SCALE,
    ROW_TIMER => 20,

    # the first takes 100 ms
    FIRST_TIMER => 20,
};

# Answers that may leave before their events: on a machine that is busy a worker
# may be kept from running for so long, and under valgrind often.
my $few = ROUNDS * SCALE / 20;


sub new_server {
    my ($workers) = @_;

    return Chat::Pusher->new(
        workers  => $workers,
        app      => 'store kept;',
        # no POST waits for a disk
        database => 'data/chat.db sync=normal',
        more     => <<'END');
        chat_activity_timeout 1h;

        location = /messages {
            chat_publish chat new_message app=17536051;
            chat_cors    *;
        }

        location /apps/ { chat_api; }
END
}


# A connection to each worker, kept alive: { WORKER => Chat::API }

sub apis {
    my ($t) = @_;

    return { map { $_->get('channels')->{headers}{'x-worker'} => $_ }
             Chat::API->spread($t) };
}


# ---- requests: their bytes, for messages and events with these texts

sub message {
    my ($api, $texts, $headers) = @_;

    return Chat::HTTP->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json', %{ $headers || {} } },
        json_bytes({ content => $texts->[0] }));
}


sub trigger {
    my ($api, $texts, $headers, $channel) = @_;

    return $api->request_bytes('POST', 'events',
        headers => $headers,
        body    => json_bytes({ name => 'e', data => $texts->[0],
                                channel => $channel || 'chat' }));
}


sub kept_trigger {
    my ($api, $texts, $headers) = @_;

    return trigger($api, $texts, $headers, 'kept');
}


sub batch {
    my ($api, $texts, $headers) = @_;

    my @channels = ('kept', 'chat', 'chat');    # what is stored goes first

    return $api->request_bytes('POST', 'batch_events',
        headers => $headers,
        body    => json_bytes({ batch => [ map {
            { name => 'e', data => $texts->[$_], channel => $channels[$_] }
        } 0 .. $#$texts ] }));
}


# ---- what comes when

# The end of so many seconds, as an event: a pipe that can be read from then.

sub timer {
    my ($seconds) = @_;

    my $pid = open my $pipe, '-|', 'sleep', $seconds * SCALE
        or die "sleep: $!";

    return { pid => $pid, pipe => $pipe };
}


sub stop_timer {
    my ($timer) = @_;

    kill 'TERM', $timer->{pid};
    close $timer->{pipe};
}


# Sends a request and reads its answer.  {there} has the sockets, by number,
# that could be read from when the answer's first byte could be; {over} is
# whether the timer had ended by then.

sub exchange {
    my ($http, $bytes, $subscribers, $timer) = @_;

    my $all = IO::Select->new(map { $_->socket } @$subscribers);
    my $first = IO::Select->new($http->socket, $timer ? $timer->{pipe} : ());

    $http->send_raw($bytes);

    my @first = $first->can_read(10 * SCALE);
    my @there = $all->can_read(0);

    my $res = $http->read_response('POST');

    $res->{there} = { map { fileno($_) => 1 } @there };
    $res->{over} = grep { $_ != $http->socket } @first;

    return $res;
}


# One after the other the events with these texts; whether they were there, as
# exchange() has found, all of them, and in one piece.

sub take {
    my ($ws, $there, $texts) = @_;

    my $in_time = $there->{ fileno $ws->socket };

    for my $text (@$texts) {
        my $f = $in_time && $ws->next_frame(0);

        $in_time &&= $f;
        $f ||= $ws->next_frame(10);

        die "no event of $text" if !$f;
        die "not the event of $text, but @$f"
            if $f->[0] ne TEXT || index($f->[1], $text) < 0;
    }

    return $in_time;
}


sub status {
    my ($http) = @_;

    return from_json($http->get('/chat_status')->{body});
}


sub early { return status($_[0])->{+EARLY} || 0 }


# Each round's answer is behind its events, or is counted.  $request->(round)
# returns connection and bytes.

sub in_time {
    my ($t, $subscribers, $rounds, $prefix, $texts, $request, $name) = @_;

    my $before = early($t->http);
    my ($late, $same, $other, %status) = (0, 0, 0);

    for my $n (1 .. $rounds) {
        my @texts = map { "$prefix-$n-$_." } 1 .. $texts;
        my ($http, $bytes) = $request->($n, \@texts);
        my $res = exchange($http, $bytes, $subscribers);
        my @missed = grep { !take($_, $res->{there}, \@texts) } @$subscribers;
        my $here = grep { $_->header('X-Worker')
                          eq ($res->{headers}{'x-worker'} || '') } @missed;

        $status{ $res->{status} }++;
        $late++ if @missed;
        $same += $here;
        $other += @missed - $here;
    }

    my $early = early($t->http) - $before;

    is(join(' ', sort keys %status), $prefix =~ /^message/ ? '201' : '200',
       "$name: answers");
    cmp_ok($late, '<=', $early,
           "$name: each answer is behind its events, or counted")
        or diag("$late of $rounds answers came before an event was there:"
                . " for $same subscribers of the worker that answered, and"
                . " $other of others; $early are counted");
    cmp_ok($early, '<=', $few, "$name: and few are counted");
}


my @kinds = (
    [ 'message', 'messages', 1, \&message ],
    [ 'message-origin', 'messages of pages', 1, \&message,
      { Origin => 'http://page.example' } ],
    [ 'trigger', 'triggers', 1, \&trigger ],
    [ 'kept', 'triggers that are stored', 1, \&kept_trigger ],
    [ 'batch', 'batches, stored in part', 3, \&batch ],
);

for my $workers (1, 4) {
    subtest "workers: $workers" => sub {
        my $t = new_server($workers);
        my @subscribers = $t->spread(8);
        my $apis = apis($t);
        my @apis = map { $apis->{$_} } sort keys %$apis;

        for my $ws (@subscribers) {
            subscribe_to($ws, $_) for 'chat', 'kept';
        }

        ok(exists status($t->http)->{+EARLY}, 'chat_status has ' . EARLY);

        for my $kind (@kinds) {
            my ($prefix, $name, $texts, $bytes, $headers) = @$kind;

            in_time($t, \@subscribers, ROUNDS, "$prefix-alive", $texts, sub {
                my ($n, $texts) = @_;
                my $api = $apis[ $n % @apis ];

                return ($api->http, $bytes->($api, $texts, $headers));
            }, "$name, kept alive");

            in_time($t, \@subscribers, ROUNDS, "$prefix-once", $texts, sub {
                my ($n, $texts) = @_;
                my $api = Chat::API->new(port => $t->port);

                return ($api->http, $bytes->($api, $texts, {
                    %{ $headers || {} }, Connection => 'close' }));
            }, "$name, each on a connection of its own");
        }

        ok(!(grep { !$_->nothing_waits } @subscribers), 'nothing else came');

        $t->finish;
    };
}


# A row of requests while a worker is stopped, up to the timer's end: how many
# are answered before that.  The other workers' subscribers have the events by
# then, or it is counted.  Returns the texts that were sent.

sub row {
    my ($api, $running, $texts, $request, $seconds, $name) = @_;

    my $before = early($api->http);
    my $timer = timer($seconds);
    my ($answered, $late, @sent, %status) = (0, 0);

    for my $text (@$texts) {
        my $res = exchange($api->http, $request->($api, [ $text ]), $running,
                           $timer);

        push @sent, $text;
        $status{ $res->{status} }++;
        $late++ if grep { !take($_, $res->{there}, [ $text ]) } @$running;

        last if $res->{over};
        $answered++;
    }

    stop_timer($timer);

    my $early = early($api->http) - $before;

    is($answered, scalar @$texts,
       "$name: answered before a timer of $seconds s ends");
    is(join(' ', sort keys %status), $request == \&message ? '201' : '200',
       "$name: answers");
    cmp_ok($late, '<=', $early, "$name: other workers' subscribers have the"
                                . ' events by then, or that is counted');

    return @sent;
}


# Asleep, so that it has nothing that others wait for.

sub stop_at_rest {
    my ($worker) = @_;

    wait_for(10, sub {
        return !grep { slurp($_) !~ /\) S / }
                glob("/proc/$worker/task/*/stat");
    }) or die 'the worker does not come to rest';
    stop_worker($worker);

    return;
}


# The texts of the next events, so many of them.

sub texts {
    my ($ws, $n) = @_;

    my @got;

    while (@got < $n) {
        my $f = $ws->next_frame(10) or last;

        push @got, $f->[1] =~ /([\w-]+\.)\\?"/ ? $1 : "@$f";
    }

    return "@got";
}


subtest 'a worker that is stopped' => sub {
    my $t = new_server(4);
    my @subscribers = $t->spread(4);
    my ($its, @running) = @subscribers;
    my $stopped = $its->header('X-Worker');
    my $apis = apis($t);

    subscribe_to($_, 'chat') for @subscribers;

    # each has the database open, and sends what there was
    for my $worker (sort keys %$apis) {
        my $res = exchange($apis->{$worker}->http, message(undef, ['first.']),
                           \@subscribers);

        is($res->{status}, 201, 'each worker can store');
        take($_, $res->{there}, ['first.']) for @subscribers;
    }

    my @others = map { $apis->{$_} } grep { $_ ne $stopped } sort keys %$apis;
    my $before = early($others[0]->http);

    stop_at_rest($stopped);

    my @sent;

    for my $n (0 .. $#others) {
        push @sent, row($others[$n], \@running, ["one-$n."], \&message,
                        FIRST_TIMER, "a first message, by worker $n");
    }

    for my $request (\&message, \&trigger) {
        my $name = $request == \&message ? 'messages' : 'triggers';
        my @texts = map { "$name-$_." } 1 .. IN_A_ROW;

        push @sent, row($others[0], \@running, \@texts, $request, ROW_TIMER,
                        IN_A_ROW . " $name");
    }

    my $early = early($others[0]->http) - $before;

    cmp_ok($early, '>=', scalar @sent,
           'each answer without its event is counted');

    kill 'CONT', $stopped;

    is(texts($its, scalar @sent), "@sent",
       'when it goes on, its subscriber has all, in order');

    my $n = 0;

    ok(wait_for(10, sub {
           my $text = 'again-' . ++$n . '.';
           my $res = exchange($others[0]->http, message(undef, [ $text ]),
                              \@subscribers);

           return !grep { !take($_, $res->{there}, [ $text ]) } @subscribers;
       }), 'then it has the events in time again');

    in_time($t, \@subscribers, ROUNDS, 'message-after', 1, sub {
        my ($n, $texts) = @_;

        return ($others[0]->http, message(undef, $texts));
    }, 'messages after that');

    # what is waited for is counted when it does not come
    $before = early($others[0]->http);
    stop_at_rest($stopped);
    @sent = row($others[0], \@running, ['second.'], \&message, FIRST_TIMER,
                'a message when it is stopped again');
    cmp_ok(early($others[0]->http) - $before, '>=', 1,
           'it had been waited for as before');
    kill 'CONT', $stopped;
    is(texts($its, scalar @sent), "@sent", 'that message came as well');

    $t->finish;
};


done_testing();
