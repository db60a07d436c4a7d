package Chat::Cluster;

# Two nodes or more over one engine, each behind a proxy of its own; or with a
# way to it that a test gives them.

use strict;
use warnings;

use Exporter 'import';
use IO::Handle;
use IO::Select;
use POSIX ();
use Test::More;

use Chat::Engine;
use Chat::HTTP qw(from_json);
use Chat::Pusher;
use Chat::Server qw(APP_ID build_dir slurp wait_for);

our @EXPORT_OK = qw(contents);


# new(nodes => [qw(a b)], engine => CONF or a Chat::Engine, url => URLs in place
# of the proxies', proxy => { NODE => PROXY }, timeout => TIME, or
# { NODE => TIME }, cluster => PARAMETERS, and Chat::Server's arguments)
#
# A node waits 10 s for the engine, which is long enough on a busy machine.  A
# test that waits for a refusal may give it less.

sub new {
    my ($class, %args) = @_;

    my $names = delete $args{nodes} || [qw(a b)];
    my $conf = delete $args{engine};

    my $self = bless {
        engine => ref $conf ? $conf : Chat::Engine->new(conf => $conf // ''),
        url => delete $args{url}, proxy => delete $args{proxy} || {},
        timeout => delete $args{timeout} || {},
        cluster => delete $args{cluster} || '', args => \%args, names => $names,
    }, $class;

    $self->add($_) for @$names;

    return $self;
}


sub engine { $_[0]{engine} }
sub names  { @{ $_[0]{names} } }
sub proxy  { $_[0]{proxy}{$_[1]} }
sub node   { $_[0]{node}{$_[1]} }
sub server { $_[0]{node}{$_[1]}->server }
sub http   { $_[0]{http}{$_[1]} }


# Starts a node, one more if it is none of new()'s, and waits until it is in the
# cluster.

sub add {
    my ($self, $name, %args) = @_;

    push @{ $self->{names} }, $name unless grep { $_ eq $name } $self->names;

    my $id = APP_ID;
    my $timeout = ref $self->{timeout} ? $self->{timeout}{$name} // '10s'
                                       : $self->{timeout};
    my $url = $self->{url}
              // ($self->{proxy}{$name} ||= $self->{engine}->proxy)->url;

    $self->{node}{$name} = Chat::Pusher->new(
        workers => 2, app => 'client_events on;',
        locations => <<"END",
        location = /messages {
            chat_history  chat app=$id;
            chat_publish  chat new_message app=$id;
        }

        location = /stale { chat_history chat app=$id stale=on; }
        location /app/ { chat_websocket; }
        location /apps/ { chat_api; }
        location = /chat_status { chat_status; }
        location /console/ { chat_console; }
END
        http => "chat_cluster $url name=$name timeout=$timeout "
                . "$self->{cluster};",
        %{ $self->{args} }, %args,
    );

    $self->connect($name);
    wait_for(60, sub { $self->cluster_status($name)->{joined} })
        or die "node $name does not come into the cluster";

    return $self->{node}{$name};
}


# A new connection, as a kept one may be with a worker that is gone.

sub connect {
    my ($self, $name) = @_;

    $self->{http}{$name}
        = Chat::HTTP->new(port => $self->{node}{$name}->port, timeout => 30);

    return;
}


# What chat_status says of a node's cluster.

sub cluster_status {
    my ($self, $name) = @_;

    return from_json($self->{http}{$name}->get('/chat_status')->{body})
           ->{cluster};
}


sub post {
    my ($self, $name, $content, %headers) = @_;

    return $self->{http}{$name}->post('/messages', { content => $content },
                                      \%headers);
}


# A node refuses it while it is behind, as it may be on a busy machine.

sub history {
    my ($self, $name) = @_;

    my ($history, $error);

    wait_for(30, sub {
        $history = eval { $self->{http}{$name}->history('/messages') };
        $error = $@;

        return $history || $error !~ /: 503 at /;
    });

    return $history || die $error;
}


sub same_history {
    my ($self, $title) = @_;

    my ($first, @others) = map {
        join "\n", map { "$_->{id} $_->{content} $_->{created_at}" }
                   @{ $self->history($_) };
    } $self->names;

    is($_, $first, "$title: one history") for @others;

    return;
}


# Whether all that was acknowledged is there, once, on each node.

sub has_each_once {
    my ($self, $title, @contents) = @_;

    for my $node ($self->names) {
        my %n;
        $n{$_->{content}}++ for @{ $self->history($node) };

        is(join(',', grep { ($n{$_} || 0) != 1 } @contents), '',
           "$title: node $node has each once");
    }

    return;
}


# Whether each node takes a message in the end; and then all that the statuses
# promise, of these and of those in %$got: status => contents.

sub works {
    my ($self, $title, $got) = @_;

    for my $node ($self->names) {
        ok(wait_for(60, sub {
            my $content = "$node " . ++$self->{serial};
            my $status = $self->post($node, $content)->{status};

            push @{ $got->{$status} }, $content;

            return $status == 201;
        }), "$title: node $node takes messages");
    }

    $self->same_history($title);
    $self->has_each_once($title, @{ $got->{201} });

    my %n;
    $n{$_->{content}}++ for @{ $self->history('a') };

    is(join(',', grep { $n{$_} } @{ $got->{503} || [] }), '',
       "$title: what got a 503 is not there");
    is(join(',', grep { $n{$_} > 1 } keys %n), '',
       "$title: nothing is there twice");

    return;
}


# A process for each node that posts to it, until unload(), which gives status
# => contents.

sub load {
    my ($self) = @_;

    pipe(my $read, my $write) or die "pipe: $!";
    $self->{loads}++;

    for my $node ($self->names) {
        my $file = build_dir() . "/cluster-load-$$-$node";
        my $pid = fork();
        die "fork: $!" unless defined $pid;

        if ($pid == 0) {
            close $write;
            eval { $self->post_until($node, $read, $file) };
            warn $@ if $@;
            POSIX::_exit(0);
        }

        $self->{load}{$pid} = $file;
    }

    $self->{load_end} = $write;

    return;
}


# What gets no answer at all has the status 0.

sub post_until {
    my ($self, $node, $end, $file) = @_;

    open my $log, '>', $file or die "$file: $!";
    $log->autoflush(1);
    $self->connect($node);

    for (my $n = 1; !IO::Select->new($end)->can_read(0); $n++) {
        my $content = "load $self->{loads} $node $n";
        my $status = eval { $self->post($node, $content)->{status} } || 0;

        print $log "$status $content\n";

        if (!$status) {
            $self->connect($node);
            select undef, undef, undef, 0.05;
        }
    }

    return;
}


# How many messages of a load were acknowledged until now.

sub loaded {
    my ($self) = @_;

    return scalar map { slurp($_) =~ /^201 /mg } grep { -e $_ }
                  values %{ $self->{load} };
}


sub unload {
    my ($self) = @_;

    my %got;

    close delete $self->{load_end};

    for my $pid (keys %{ $self->{load} }) {
        waitpid $pid, 0;

        for my $line (split /\n/, slurp($self->{load}{$pid})) {
            my ($status, $content) = split / /, $line, 2;
            push @{ $got{$status} }, $content;
        }

        unlink $self->{load}{$pid};
    }

    $self->{load} = {};

    return \%got;
}


# The next events of a connection, as texts.

sub contents {
    my ($ws, $n) = @_;

    return map { text_of($ws->next_event) } 1 .. $n;
}


sub text_of {
    my ($event) = @_;

    return 'nothing' if !defined $event->{event};
    return from_json($event->{data})->{content}
        if $event->{event} eq 'new_message';

    return "$event->{event} $event->{data}";
}


sub finish {
    my ($self) = @_;

    $_->finish for values %{ $self->{node} };

    return;
}


1;
