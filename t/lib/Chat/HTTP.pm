package Chat::HTTP;

# One HTTP/1.1 connection that is kept alive, and nothing hidden: what is sent
# is seen, answers are read exactly, pieces and pipelining are possible.

use strict;
use warnings;

use Encode ();
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(time);

use Chat::Server qw(SCALE);
use Chat::TLS qw(start_tls write_all read_some);

our @EXPORT_OK = qw(json_bytes from_json from_text form);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $text = JSON::PP->new->allow_nonref;


sub json_bytes { return $json->encode($_[0]) }
sub from_json  { return $json->decode($_[0]) }
sub from_text  { return $text->decode($_[0]) }    # of characters


sub form {
    my (%fields) = @_;

    return join '&', map {
        my $value = $fields{$_};
        $value =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;
        "$_=$value";
    } sort keys %fields;
}


# new(port => N, timeout => SECONDS, tls => 1)

sub new {
    my ($class, %args) = @_;

    my $self = bless { timeout => 10, buffer => '', %args }, $class;

    $self->connect;

    return $self;
}


sub connect {
    my ($self) = @_;

    $self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                            PeerPort => $self->{port},
                                            Timeout => 10 * SCALE)
        or die "connect to port $self->{port}: $@";
    $self->{socket}->autoflush(1);
    start_tls($self->{socket}) if $self->{tls};
    $self->{buffer} = '';
}


sub socket { $_[0]{socket} }


sub close {
    my ($self) = @_;

    close $self->{socket} if $self->{socket};
    undef $self->{socket};
}


sub send_raw {
    my ($self, $bytes) = @_;

    return write_all($self->{socket}, $bytes);
}


# Takes what has come; false at the end of the connection.

sub fill {
    my ($self, $end) = @_;

    while (1) {
        my $left = $end - time();

        return undef if $left <= 0;
        return undef unless IO::Select->new($self->{socket})->can_read($left);

        my $n = read_some($self->{socket}, \$self->{buffer});
        return $n if defined $n;
    }
}


# The next answer: { status, headers, body, text, raw_head }, header names in
# lower case, several values joined by ", "; text is the body as characters.
# Without an answer in time the status is 0.

sub read_response {
    my ($self, $method, $timeout) = @_;

    my $res = $self->read_answer($method, $timeout)
              || { status => 0, headers => {}, body => '', raw_head => '' };

    # the lax kind: U+FFFF is no character for the strict one
    $res->{text} = Encode::decode('utf8', $res->{body});

    return $res;
}


sub read_answer {
    my ($self, $method, $timeout) = @_;

    my $end = time() + ($timeout || $self->{timeout}) * SCALE;

    while ($self->{buffer} !~ /\r\n\r\n/) {
        return undef unless $self->fill($end);
    }

    $self->{buffer} =~ s/^(.*?\r\n)\r\n//s;
    my $head = $1;
    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})}
        or die "not an HTTP answer: $line";

    my %headers;

    for (@lines) {
        my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/
            or die "not an HTTP header: $_";
        $name = lc $name;
        $headers{$name} = exists $headers{$name} ? "$headers{$name}, $value"
                                                 : $value;
    }

    my $res = { status => $status, headers => \%headers, raw_head => $head,
                body => '' };

    return $res if $status =~ /^(?:1..|204|304)$/
                   || ($method || '') eq 'HEAD';

    if (($headers{'transfer-encoding'} || '') eq 'chunked') {
        while (1) {
            while ($self->{buffer} !~ /^[0-9a-fA-F]+\r\n/) {
                return undef unless $self->fill($end);
            }

            # $1 of the loop's condition would be lost behind the loop
            my ($hex) = $self->{buffer} =~ /^([0-9a-fA-F]+)/;
            my ($size, $skip) = (hex $hex, length($hex) + 2);

            while (length $self->{buffer} < $skip + $size + 2) {
                return undef unless $self->fill($end);
            }

            $res->{body} .= substr $self->{buffer}, $skip, $size;
            substr($self->{buffer}, 0, $skip + $size + 2, '');
            last if $size == 0;
        }

    } elsif (defined $headers{'content-length'}) {
        while (length $self->{buffer} < $headers{'content-length'}) {
            return undef unless $self->fill($end);
        }

        $res->{body} = substr $self->{buffer}, 0,
                              $headers{'content-length'}, '';

    } else {
        1 while $self->fill($end);
        $res->{body} = $self->{buffer};
        $self->{buffer} = '';
    }

    return $res;
}


sub format_request {
    my ($class, $method, $path, $headers, $body) = @_;

    my %h = (Host => 'localhost', %{ $headers || {} });
    $h{'Content-Length'} = length $body
        if defined $body && !exists $h{'Content-Length'}
           && !exists $h{'Transfer-Encoding'};

    return "$method $path HTTP/1.1\r\n"
           . join('', map { "$_: $h{$_}\r\n" } sort keys %h)
           . "\r\n" . (defined $body ? $body : '');
}


sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    if ($self->{last}) {
        $self->close;
        $self->connect;
    }

    $self->send_raw($self->format_request($method, $path, $headers, $body));
    my $res = $self->read_response($method);

    # a close that was announced is no fault; one that was not is seen once
    $self->{last} = !$res->{status}
                    || lc($res->{headers}{connection} || '') eq 'close';

    return $res;
}


sub get { my $self = shift; return $self->request('GET', @_) }


# Posts a message as JSON: post($path, { content => 'text' }, \%headers).  The
# strings are characters; a body that is no reference is sent as it is.

sub post {
    my ($self, $path, $body, $headers) = @_;

    $body = json_bytes($body) if ref $body;

    return $self->request('POST', $path,
                          { 'Content-Type' => 'application/json',
                            %{ $headers || {} } }, $body);
}


# All messages of a history endpoint, page by page.

sub history {
    my ($self, $path, $limit) = @_;

    my @all;
    my $after = 0;

    while (1) {
        my $res = $self->get("$path?after=$after&limit=" . ($limit || 1000));

        die "GET $path: $res->{status}" unless $res->{status} == 200;

        my $page = from_json($res->{body});
        return \@all unless @$page;

        push @all, @$page;
        $after = $page->[-1]{id};
    }
}


1;
