using System;
using System.Collections.Generic;
using Microsoft.AspNetCore.SignalR;

public enum Color
{
    Red,
    DarkBlue = 10,
}

public class Person
{
    public string FirstName { get; set; }
    public int Age { get; set; }
    public Color Favourite { get; set; }
    public Person Friend { get; set; }
}

/// <summary>A method for each type that gives back what it gets.</summary>
public class ValuesHub : Hub
{
    public bool EchoBool(bool value) => value;

    public byte EchoByte(byte value) => value;

    public sbyte EchoSByte(sbyte value) => value;

    public short EchoInt16(short value) => value;

    public ushort EchoUInt16(ushort value) => value;

    public int EchoInt32(int value) => value;

    public uint EchoUInt32(uint value) => value;

    public long EchoInt64(long value) => value;

    public ulong EchoUInt64(ulong value) => value;

    public float EchoSingle(float value) => value;

    public double EchoDouble(double value) => value;

    public decimal EchoDecimal(decimal value) => value;

    public char EchoChar(char value) => value;

    public string EchoString(string value) => value;

    public byte[] EchoBytes(byte[] value) => value;

    public DateTime EchoDateTime(DateTime value) => value;

    public DateTimeOffset EchoDateTimeOffset(DateTimeOffset value) => value;

    public DateOnly EchoDateOnly(DateOnly value) => value;

    public TimeOnly EchoTimeOnly(TimeOnly value) => value;

    public TimeSpan EchoTimeSpan(TimeSpan value) => value;

    public Guid EchoGuid(Guid value) => value;

    public Color EchoColor(Color value) => value;

    public int? EchoNullable(int? value) => value;

    public List<int> EchoList(List<int> value) => value;

    public string[] EchoArray(string[] value) => value;

    public Dictionary<string, int> EchoDictionary(Dictionary<string, int> value) => value;

    public Dictionary<int, string> EchoIntDictionary(Dictionary<int, string> value) => value;

    public Person EchoPerson(Person value) => value;

    public object EchoObject(object value) => value;
}
