# The end of nginx: by SIGTERM, which sends nobody away before, and by SIGQUIT.
# Each connection's end is told, be it one of the worker that sends or of
# another one; and what happened just before, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Pusher qw(subscribe_to client_event);
use Chat::Receiver;
use Chat::Server qw(stop_worker wait_for);

use constant CLIENTS => 40;            # of each worker

my $r = Chat::Receiver->new;

my $t = Chat::Pusher->new(
    workers => 2,
    app     => 'client_events on; webhook ' . $r->url
               . ' events=channel_occupied,client_event,connection_closed;',
);

my $server = $t->server;


# So many clients of each worker, and more.

sub clients {
    my (%n, @ws);

    while (grep({ ($n{$_} || 0) < CLIENTS } $server->worker_pids)) {
        my $ws = $t->ws;

        $n{ $ws->header('X-Worker') }++;
        push @ws, $ws;
    }

    return @ws;
}


# The workers end, and the one that does not send after the one that does.  The
# master stands meanwhile, as it would kill who does not end soon; stop() has it
# go on.

sub end_in_order {
    my ($sender) = $server->senders;
    my ($other) = grep { $_ != $sender } $server->worker_pids;

    $server->expect_death($sender, $other);
    stop_worker($_) for $server->master_pid, $other;
    kill 'TERM', $sender, $other;
    wait_for(30, sub { !Chat::Server::is_alive($sender) });
    kill 'CONT', $other;
    wait_for(30, sub { !Chat::Server::is_alive($other) });

    return;
}


my $n = 0;

for my $signal (qw(TERM QUIT TERM)) {
    $n++;
    $r->forget;

    my @ws = clients();

    subscribe_to($_, 'private-room') for @ws;

    # the end of some is not read yet when the signal comes
    my @left = splice @ws, 0, 10;

    client_event($ws[0], 'private-room', 'client-last', $signal);
    $_->disconnect for @left;

    # a worker has taken it; its record may be one that nobody has read yet
    is($ws[1]->next_event->{event}, 'client-last', "SIG$signal: an event");

    # a connection without a request would keep nginx there
    delete $t->{http};

    end_in_order() if $n == 3;
    $server->stop($signal);
    $server->start;

    # the order is that of the ring: this one is the last
    my $ws = $t->ws;
    subscribe_to($ws, "fence-$n");
    is(scalar $r->wait_texts(1, qr/occupied fence-$n/), 1,
       "SIG$signal: another nginx goes on");

    my %code;
    push @{ $code{ $_->{socket_id} } }, $_->{code}
        for grep { $_->{name} eq 'connection_closed' } $r->events;

    my %expected = ((map { $_->socket_id => '4200' } @ws),
                    (map { $_->socket_id => '4200 or 1006' } @left));

    $code{ $_->socket_id }[0] =~ s/^(?:4200|1006)$/4200 or 1006/ for @left;

    is_deeply({ map { $_ => join ' ', @{ $code{$_} } } keys %code },
              \%expected, "SIG$signal: each connection's end is told, once");
    is(scalar(@{[ $r->texts(qr/^client_event private-room client-last/) ]}), 1,
       "SIG$signal: and what was before");
    $ws->disconnect;
    $r->wait_texts(scalar(keys %expected) + 1, qr/^connection_closed/);
}


$t->finish;
$r->down;

done_testing();
