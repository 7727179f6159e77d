using System;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// The hubs at /chathub, /valueshub, /streamhub and /tokenhub of the address in --urls. It prints "LISTENING url" once it
// serves. POST /release/NAME lets the call Hold(NAME) go on. POST /revoke/TOKEN makes that token invalid. Environment:
//   HUB_ORIGIN=origin    pages of this origin may use them
//   HUB_STJ=1            leaves the Newtonsoft protocol away
//   HUB_MAX=bytes        the largest message it receives
//   HUB_KEEPALIVE=ms     it pings in this interval
//   HUB_TIMEOUT=ms       it gives up a client that is silent for longer
//   HUB_STATEFUL=bytes   the buffer for stateful reconnect
var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
var signalR = builder.Services.AddSignalR().AddMessagePackProtocol();
if (Environment.GetEnvironmentVariable("HUB_STJ") != "1")
{
    signalR.AddNewtonsoftJsonProtocol();
}
if (long.TryParse(Environment.GetEnvironmentVariable("HUB_MAX"), out var maximum))
{
    builder.Services.Configure<HubOptions>(options => options.MaximumReceiveMessageSize = maximum);
}
if (long.TryParse(Environment.GetEnvironmentVariable("HUB_STATEFUL"), out var buffer))
{
    builder.Services.Configure<HubOptions>(options => options.StatefulReconnectBufferSize = buffer);
}

if (Milliseconds("HUB_KEEPALIVE") is { } keepAlive)
{
    builder.Services.Configure<HubOptions>(options => options.KeepAliveInterval = keepAlive);
}
if (Milliseconds("HUB_TIMEOUT") is { } timeout)
{
    builder.Services.Configure<HubOptions>(options => options.ClientTimeoutInterval = timeout);
}
// A client that does not hang up is not waited for.
builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
builder.Services.AddSingleton<IUserIdProvider, HeaderUserIdProvider>();
builder.Services.AddAuthentication(TokenHandler.Name).AddScheme<AuthenticationSchemeOptions, TokenHandler>(TokenHandler.Name, null);
builder.Services.AddAuthorization();
builder.Services.AddCors(options => options.AddDefaultPolicy(policy =>
{
    if (Environment.GetEnvironmentVariable("HUB_ORIGIN") is { } origin)
    {
        policy.WithOrigins(origin).AllowAnyHeader().AllowAnyMethod().AllowCredentials();
    }
}));

var app = builder.Build();
app.UseCors();
app.UseAuthentication();
app.UseAuthorization();
app.MapHub<ChatHub>("/chathub", options => options.AllowStatefulReconnects = true);
app.MapHub<ValuesHub>("/valueshub");
app.MapHub<StreamHub>("/streamhub");
app.MapHub<TokenHub>("/tokenhub").RequireAuthorization();
app.MapPost("/revoke/{token}", (string token) => TokenHandler.Revoke(token));
app.MapPost("/release/{name}", (string name) => Gates.Release(name) ? Results.NoContent() : Results.NotFound());
app.Lifetime.ApplicationStarted.Register(() =>
{
    var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>();
    Console.WriteLine($"LISTENING {string.Join(' ', addresses.Addresses)}");
});
app.Run();

static TimeSpan? Milliseconds(string name) =>
    double.TryParse(Environment.GetEnvironmentVariable(name), out var value) ? TimeSpan.FromMilliseconds(value) : null;
