package Chat::HTTP3;

# A client over HTTP/3: curl.  request(), get() and post() are those of
# Chat::HTTP; each request has a connection of its own.

use strict;
use warnings;

use IO::Select;
use Time::HiRes qw(time);

use Chat::HTTP;
use Chat::Server qw(SCALE build_dir slurp spew);

my $serial = 0;


# Why there can be no HTTP/3 here, if so.

sub missing {
    my $nginx = Chat::Server::binary();

    return 'this nginx has no HTTP/3'
        unless `$nginx -V 2>&1` =~ /--with-http_v3_module/;
    return 'this curl has no HTTP/3'
        unless `curl -V 2>/dev/null` =~ /^Features:.* HTTP3\b/m;

    return;
}


# new(port => N)

sub new {
    my ($class, %args) = @_;

    my $self = bless { %args }, $class;

    $self->{file} = build_dir() . "/t/http3-$$-" . ++$serial;

    return $self;
}


sub url { return "https://127.0.0.1:$_[0]{port}$_[1]" }


# What every request has; with --next, it has to be said again.  What curl has
# to say of a fault is in its exit status.

sub options {
    return qw(--http3-only --silent --insecure --no-buffer --path-as-is);
}


sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    my $file = $self->{file};
    my @command = ('curl', options(), '--max-time', 10 * SCALE,
                   '--dump-header', "$file.head", '--output', "$file.body",
                   $method eq 'HEAD' ? '--head' : ('--request', $method),
                   map { ('--header', "$_: $headers->{$_}") }
                       sort keys %{ $headers || {} });

    if (defined $body) {
        spew("$file.sent", $body);
        push @command, '--data-binary', "\@$file.sent";
    }

    spew("$file.$_", '') for qw(head body);
    my $exit = system(@command, $self->url($path));

    my ($first, @lines) = split /\r\n/, slurp("$file.head");
    my ($version, $status) = ($first || '') =~ m{^HTTP/(\S+) (\d+)};

    my $res = {
        exit => $exit >> 8, version => $version, status => $status || 0,
        headers => { map { /^([^:]+): (.*)/ ? (lc $1, $2) : () } @lines },
        body => slurp("$file.body"),
    };

    unlink map { "$file.$_" } qw(head body sent);

    return $res;
}


# of what request() does
*get = \&Chat::HTTP::get;
*post = \&Chat::HTTP::post;


# stream([PATH, OPTIONS...], ...): begins requests, all of one connection where
# they are several, whose answers come in pieces.

sub stream {
    my ($self, @requests) = @_;

    my @command = ('curl', @requests > 1 ? '--parallel' : ());
    my $next = 0;

    for my $request (@requests) {
        my ($path, @more) = @$request;

        push @command, $next++ ? '--next' : (), options(), @more,
             $self->url($path);
    }

    my $pid = open my $pipe, '-|', @command or die "curl: $!";

    return bless { pipe => $pipe, pid => $pid, text => '' },
                 'Chat::HTTP3::Stream';
}


package Chat::HTTP3::Stream;

use Chat::Server qw(SCALE);


sub text { $_[0]{text} }


# Reads until the text has what matches; false where it ends, or none comes.

sub read_until {
    my ($self, $pattern) = @_;

    my $end = Time::HiRes::time() + 10 * SCALE;
    my $select = IO::Select->new($self->{pipe});

    while ($self->{text} !~ $pattern) {
        my $left = $end - Time::HiRes::time();

        return 0 if $left <= 0 || !$select->can_read($left);
        return 0 unless sysread $self->{pipe}, $self->{text}, 65536,
                                length $self->{text};
    }

    return 1;
}


# Ends the client, if it has not ended: its exit status, or the signal.

sub close {
    my ($self) = @_;

    kill 'TERM', $self->{pid};
    close $self->{pipe};

    return $?;
}


1;
